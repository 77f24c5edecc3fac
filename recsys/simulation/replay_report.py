"""What a replay found, over all nights: totals, how sure the champion's lead is, and the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recsys.simulation.replay import METRICS, SYSTEMS, ReplayedNight
from recsys.statistics.bootstrap import Interval, paired_difference

CHAMPION = SYSTEMS[0]


def totals(nights: list[ReplayedNight]) -> dict[str, dict[str, float]]:
    """Means over all users of all nights (users weigh alike, nights by their users); coverage over nights."""
    import pandas as pd

    everyone = pd.concat([night.per_user for night in nights], ignore_index=True)
    result: dict[str, dict[str, float]] = {}
    for system in SYSTEMS:
        rows = everyone[everyone["system"] == system]
        result[system] = {name: float(rows[name].mean()) for name in METRICS}
        shares = [night.systems[system]["coverage_at_10"] for night in nights]
        result[system]["coverage_at_10"] = float(np.mean([share for share in shares if share is not None]))
    return result


def leads(nights: list[ReplayedNight], seed: int) -> dict[str, Interval]:
    """How much more NDCG@10 the champion has than each other system, as a ratio - 1 with its 95 % interval.

    Whole users are drawn, with all their nights: the lists of one user on two days are no independent evidence. Empty where
    nobody liked anything on any of the days.
    """
    import pandas as pd

    everyone = pd.concat([night.per_user.assign(night=night.as_of) for night in nights], ignore_index=True)
    judged = everyone.dropna(subset=["ndcg_at_10"])
    if judged.empty:
        return {}
    sums = judged.pivot_table(index="user_id", columns="system", values="ndcg_at_10", aggfunc="sum").fillna(0.0)
    own = sums[CHAMPION].to_numpy()
    return {
        system: paired_difference(own, sums[system].to_numpy(), seed=seed, relative=True)
        for system in SYSTEMS
        if system != CHAMPION
    }


def lead_in_words(lead: Interval | None) -> str:
    """A change with its interval; nothing for the champion, which leads nobody of its own name."""
    return "" if lead is None else f"{lead.mean:+.1%} ({lead.low:+.1%} to {lead.high:+.1%})"


def write_report(nights: list[ReplayedNight], path: Path, seed: int, options: str = "") -> Path:
    """Writes the totals as markdown, with the plot beside it under the same name.

    Args:
        nights: at least one.
        path: of the page.
        seed: of the intervals.
        options: of the command beside the days, as they were given.

    Returns:
        `path`.
    """
    first, last = nights[0].as_of[:10], nights[-1].as_of[:10]
    outcomes = [night.outcome for night in nights]
    ahead = leads(nights, seed)
    counts = ", ".join(f"{outcomes.count(name)} {name.replace('_', ' ')}" for name in sorted(set(outcomes)))
    lines = [
        f"# Replay, {first} to {last}",
        "",
        f"Written by `recsys replay --from {first} --to {last} --report FILE{options}`. {len(nights)} nights: {counts}.",
        "After each night, everything is scored on the next day's events, with each user's history up to the night; means",
        "over users. The last column is how much more NDCG@10 the champion has (95 % interval; whole users are drawn).",
        "",
        "| what serves | NDCG@10 | Recall@20 | dislike exposure@10 | coverage@10 | the champion beside it |",
        "|---|---|---|---|---|---|",
        *(
            f"| {system.replace('_', ' ')} | "
            + " | ".join([*(f"{value:.4f}" for value in metrics.values()), lead_in_words(ahead.get(system))])
            + " |"
            for system, metrics in totals(nights).items()
        ),
        "",
        f"{sum(night.num_users for night in nights)} user-days with a like; seconds a night, median "
        f"{np.median([sum(night.seconds.values()) for night in nights]):.0f}.",
        "",
        "- champion: retrained, evaluated and promoted by the loop",
        "- first champion: the first night's, never retrained",
        "- decayed popularity: likes with the half-life that the champion's own validation found best, counted anew each night",
        "- popularity: all likes so far, counted anew each night",
        "",
        f"![NDCG@10 night by night]({path.stem}.png)",
        "",
    ]
    plot_replay(nights, path.with_suffix(".png"))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def plot_replay(nights: list[ReplayedNight], path: Path) -> None:
    """NDCG@10 on the next day, night by night, one line per system; promotions are marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    days = [night.as_of[:10] for night in nights]
    for system in SYSTEMS:
        values = [night.systems[system]["ndcg_at_10"] for night in nights]
        numbers = [np.nan if value is None else value for value in values]
        axes.plot(days, numbers, label=system.replace("_", " "), linewidth=2.5 if system == "champion" else 1.2)
        if system == "champion":
            promoted = [n for n, night in enumerate(nights) if night.outcome == "promote"]
            axes.plot([days[n] for n in promoted], [numbers[n] for n in promoted], "o", label="promoted that night")
    axes.set(
        title="Next-day accuracy of what serves, night by night", xlabel="night (UTC)", ylabel="NDCG@10 on the next day"
    )
    axes.tick_params(axis="x", rotation=70)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
