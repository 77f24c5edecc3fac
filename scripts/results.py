"""What `make demo` shows at its end, read from the stores that the nights left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

BASELINES = ("decayed_popularity", "popularity")
TITLES = {"decayed_popularity": "popularity of the last days", "popularity": "popularity"}
SHOWN_USERS = 3
TOP = 3
COUNTED_USERS = 3_000
HALF_LIFE_DAYS = 30.0  # of the weights in a history, which nothing here reads


def show_decisions(context: Any, out: Console) -> None:
    """Every decision of the loop, in the order in which they were made."""
    table = Table(title="What was decided, and why")
    for heading in ("run", "step", "verdict", "why"):
        table.add_column(heading, overflow="fold")
    for decision in sorted(context.store.audit.list_decisions(limit=50), key=lambda found: found.decision_id):
        cells = (decision.run_id, decision.step, decision.verdict, "\n".join(decision.reasons))
        table.add_row(*(Text(cell) for cell in cells))
    out.print(table)


def show_batch(context: Any, batch: Any, checks: dict[str, Any], out: Console) -> None:
    """Training set, data checks and candidates of the last night that trained."""
    from recsys.pipeline.retraining.trials import trials_of

    table = Table(show_header=False, title=f"Batch {batch.batch_id}")
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("new dislikes claimed", f"{batch.num_examples:,}")
    table.add_row("training set", f"{batch.num_rows:,} rows, digest {batch.training_set_digest}")
    tried = trials_of(context.folder(batch.batch_id), batch)
    table.add_row(
        "candidates, NDCG@10 on validation", ", ".join(f"{t.candidate.name} {t.ndcg_at_10:.4f}" for t in tried)
    )
    warned = "".join(f"; warning: {warning}" for warning in checks["warnings"])
    passed = "passed" if checks["success"] else "failed"
    table.add_row("data checks", f"{checks['num_expectations']} checks {passed}{warned}")
    table.add_row("Data Docs", context.settings.locate(batch.data_docs_uri).as_uri())
    table.add_row(
        "holdout", f"recorded after {batch.fit_through:%Y-%m-%d %H:%M}, up to {batch.as_of:%Y-%m-%d %H:%M} UTC"
    )
    out.print(table)


def show_systems(evidence: Any, title: str, out: Console) -> None:
    """Every system on one holdout, and how far the challenger is ahead of each, with its interval."""
    from recsys.statistics.bootstrap import paired_difference

    table = Table(title=f"{title}: NDCG@10 on the same holdout")
    for heading in ("system", "NDCG@10", "challenger's lead", "95 % interval", "dislike exposure@10", "users"):
        table.add_column(heading, justify="left" if heading == "system" else "right")
    own = evidence.users("challenger")
    for system in ("challenger", "champion", *BASELINES):
        if system not in evidence.systems:
            continue
        users = evidence.users(system)
        known = users["ndcg_at_10"].notna()
        mean, lead, interval = users.loc[known, "ndcg_at_10"].mean(), "", ""
        if system != "challenger" and mean > 0:
            pair = own.loc[known, "ndcg_at_10"].to_numpy(), users.loc[known, "ndcg_at_10"].to_numpy()
            change = paired_difference(*pair, seed=evidence.seed, relative=True)
            lead, interval = f"{change.mean:+.1%}", f"{change.low:+.1%} to {change.high:+.1%}"
        exposure = users["dislike_exposure_at_10"].mean()
        table.add_row(
            TITLES.get(system, system), f"{mean:.4f}", lead, interval, f"{exposure:.4f}", f"{int(known.sum()):,}"
        )
    out.print(table)


def published_lists(store: Any, num_users: int) -> dict[str, Any]:
    """User -> the list that is served, of so many users who have liked something, those with the most likes first."""
    histories = store.stream.read_histories(datetime.max.replace(tzinfo=UTC), HALF_LIFE_DAYS)
    likes = histories[histories["signal"] == "like"].groupby("user_id").size()
    users = likes.reset_index(name="likes").sort_values(["likes", "user_id"], ascending=[False, True])["user_id"]
    found = {user_id: store.lists.get_recommendations(user_id) for user_id in users[:num_users]}
    return {user_id: one for user_id, one in found.items() if one is not None and one.entries}


def show_lists(context: Any, version: str, out: Console) -> None:
    """The first recommendations of some users with a history, each with its reason, and how many films there are in all."""
    lists = published_lists(context.store, COUNTED_USERS)
    users = sorted(lists)[:: max(1, len(lists) // SHOWN_USERS)][:SHOWN_USERS]
    catalog = context.store.catalog.all_items()
    table = Table(title=f"Lists of version {version}")
    for heading in ("user", "#", "film", "score", "why"):
        table.add_column(heading, overflow="fold")
    for user_id in users:
        for entry in lists[user_id].entries[:TOP]:
            title = catalog[entry.item_id].title
            table.add_row(user_id, str(entry.rank), Text(title), f"{entry.score:.3f}", Text(entry.reason))
    out.print(table)
    films = {entry.item_id for one in lists.values() for entry in one.entries[:TOP]}
    out.print(f"{len(films):,} different films fill the first {TOP} positions in the lists of {len(lists):,} users.")


def show_seconds(seconds: dict[str, float], out: Console) -> None:
    """How long each task took."""
    table = Table("night and task", "seconds", title="Seconds of each Airflow task, its fresh process included")
    for name, value in seconds.items():
        table.add_row(name, f"{value:.1f}")
    out.print(table)
