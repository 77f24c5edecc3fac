"""What the steps in `pipeline` are made of: planning a batch, freezing its inputs, fitting, judging, promoting."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from recsys.errors import ConflictError, DataCheckError, InputError, NotFoundError
from recsys.records import Batch, BatchStatus, Promotion
from recsys.registry import Registry, VersionSpec
from recsys.settings import Settings
from recsys.store import FeedbackStore
from recsys.whole_folder import whole_folder

if TYPE_CHECKING:
    from recsys.evaluation.evidence import Evidence
    from recsys.evaluation.gate import Verdict
    from recsys.model.recommender import Recommender
    from recsys.training.fit import FitConfig
    from recsys.training.training_set import TrainingSetSummary
    from recsys.training.validation_report import ValidationReport

DEFAULT_THRESHOLD = 20
LEASE = timedelta(hours=6)  # longer than the DAG's time limit: an older open batch belongs to a run that died
HOLDOUT_SHARE = 0.5  # of the events since the champion
FIRST_HOLDOUT_SHARE = 0.1  # of all events, while there is no champion
SPAN_SHARE = 0.25  # default half-life: this share of the stream's length
MAX_SEED = 2**32 - 1  # what NumPy takes
MIN_OVERLAP = 0.1  # of the refit's lists with the judged ones


@dataclass(frozen=True)
class RunConfig:
    """What a person may set for one run.

    Attributes:
        half_life_days: of the sample weights; None: a quarter of the stream's length.
        seed: of the fit.
        force_reason: why the run was forced, or None.
    """

    half_life_days: float | None = None
    seed: int = 0
    force_reason: str | None = None


@dataclass(frozen=True)
class BacklogDecision:
    """Whether to retrain, and why, in plain words."""

    retrain: bool
    reason: str


@dataclass(frozen=True)
class Workplace:
    """The stores and folders that the steps of one process work with."""

    settings: Settings
    store: FeedbackStore
    registry: Registry

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: Settings | None = None) -> Iterator[Workplace]:
        """Opens the feedback database; the registry is reached when it is first used."""
        places = settings or Settings.from_environment()
        with FeedbackStore.open(places.database_url) as store:
            yield cls(places, store, Registry(places.tracking_uri, places.mlflow_artifacts))

    def folder(self, batch_id: str) -> Path:
        """Where the steps of a batch leave their files; run ids may hold characters that file names cannot."""
        return self.settings.artifacts / re.sub(r"[^A-Za-z0-9_.-]", "_", batch_id)

    def recommender(self, version: str) -> Recommender:
        """A registered version, ready to score."""
        from recsys.model.recommender import Recommender

        with tempfile.TemporaryDirectory(prefix="recsys-version-") as folder:
            return Recommender.load(self.registry.download(version, Path(folder)))


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="recsys-dry-run-") as folder:
        yield Path(folder)


def fit_config(seed: int) -> FitConfig:
    """The recipe of this code version."""
    from recsys.training.fit import FitConfig

    return FitConfig(seed=seed)


def current_recipe(batch: Batch) -> str:
    """Names the recipe that this code would fit the batch with."""
    from recsys.training.fit import recipe_id

    return recipe_id(fit_config(batch.config["seed"]), batch.config["requested_half_life_days"])


# Planning


def own_batch(place: Workplace, run_id: str) -> Batch | None:
    """The batch that this run claimed before and did not lose: then it goes on with it, whatever the backlog is now."""
    try:
        batch = place.store.get_batch(run_id)
    except NotFoundError:
        return None
    return None if batch.status == BatchStatus.RELEASED else batch


def past_promotion(place: Workplace, run_id: str) -> Promotion | None:
    """The promotion with which this run ended, if another one came after it."""
    promotions = place.store.list_promotions()
    own = [p for p in promotions[:-1] if p.run_id == run_id]
    return own[-1] if own else None


def backlog_decision(place: Workplace, run_id: str, backlog: int, threshold: int, force_reason: str | None) -> BacklogDecision:
    """Retrain when the backlog has reached the threshold, when forced, or when the run goes on with its own batch."""
    counted = f"{backlog} new dislikes, threshold {threshold}"
    if past := past_promotion(place, run_id):
        return BacklogDecision(
            False, f"This run ended with the promotion of version {past.to_version}, and a later one followed: nothing to do."
        )
    if own_batch(place, run_id) is not None:
        return BacklogDecision(True, f"This run had claimed its batch before and goes on with it ({counted} now).")
    if backlog >= threshold:
        return BacklogDecision(True, f"{counted}: enough to retrain.")
    if force_reason:
        return BacklogDecision(True, f"Forced: {force_reason} ({counted}).")
    return BacklogDecision(False, f"{counted}: not enough to retrain, {threshold - backlog} more are needed.")


def plan_batch(
    place: Workplace, run_id: str, as_of: datetime, now: datetime, config: RunConfig, *, writes: bool = True
) -> Batch:
    """Freezes what a run works on: cut-off, where the holdout begins, the champion to beat, the half-life.

    `writes` False leaves a promotion that died half-way as it is, where a run would finish it first.

    Raises:
        InputError: if there is nothing recorded up to `as_of`, or the champion has already seen later events.
    """
    if config.half_life_days is not None and not 0 < config.half_life_days < float("inf"):
        raise InputError(f"Expected half_life_days > 0, got {config.half_life_days}.")
    if not 0 <= config.seed <= MAX_SEED:
        raise InputError(f"Expected a seed from 0 to {MAX_SEED}, got {config.seed}.")
    first_recorded_at, last_recorded_at = require_stream(place, as_of)
    # Ages count from the newest event, not from a clock that may be years ahead of an imported stream: then every weight
    # would be next to nothing. The rows are the same.
    as_of = min(as_of, last_recorded_at)
    champion = current_champion(place, now) if writes else place.registry.get_alias("champion")
    through = champion_cut_off(place, champion)
    if through is not None and through > as_of:
        raise InputError(
            f"Expected as_of after {through.isoformat()}, which champion version {champion} was trained through, got "
            f"{as_of.isoformat()}: no earlier events can judge it fairly."
        )
    share = HOLDOUT_SHARE if champion else FIRST_HOLDOUT_SHARE
    fit_through = place.store.recorded_at_quantile(through, as_of, 1.0 - share) or as_of
    span_days = (last_recorded_at - first_recorded_at).total_seconds() / 86_400
    half_life_days = config.half_life_days or max(1.0, round(SPAN_SHARE * span_days, 3))
    return Batch(
        batch_id=run_id, as_of=as_of, fit_through=fit_through, champion_version=champion, status=BatchStatus.CLAIMED,
        num_examples=0, claimed_at=now, lease_expires_at=now + LEASE,
        config={"half_life_days": half_life_days, "requested_half_life_days": config.half_life_days,
                "seed": config.seed, "force_reason": config.force_reason},
    )  # fmt: skip


def require_stream(place: Workplace, as_of: datetime) -> tuple[datetime, datetime]:
    """First and last `recorded_at` up to `as_of`.

    Raises:
        InputError: if there is none.
    """
    summary = place.store.stream_summary(as_of)
    if summary.first_recorded_at is None or summary.last_recorded_at is None:
        raise InputError(
            f"Expected interactions recorded up to {as_of.isoformat()}, found none: import a stream first "
            "(`recsys import --help`), or choose a later as_of."
        )
    return summary.first_recorded_at, summary.last_recorded_at


def champion_cut_off(place: Workplace, champion: str | None) -> datetime | None:
    """The newest event that the champion may have seen, by its tag `as_of`."""
    return None if champion is None else datetime.fromisoformat(place.registry.get_tags(champion)["as_of"])


# Building and training


def freeze_training_set(place: Workplace, batch: Batch, folder: Path) -> TrainingSetSummary:
    """Writes the inputs of the batch, or finds them: what a first try froze, a retry does not read again."""
    import pandas as pd

    from recsys.training.training_set import read_summary, write_training_set

    existing = read_summary(folder)
    if existing is not None and existing.digest == batch.training_set_digest:
        return existing
    half_life_days = batch.config["half_life_days"]
    items = pd.DataFrame(
        [(i.item_id, i.title, i.genres) for _, i in sorted(place.store.catalog().items())],
        columns=["item_id", "title", "genres"],
    )
    examples = place.store.read_training_set(batch.as_of, batch.fit_through, half_life_days)
    histories = place.store.read_histories(batch.fit_through, half_life_days)
    return write_training_set(folder, examples, histories, items)


def check_training_set(place: Workplace, batch: Batch, folder: Path) -> ValidationReport:
    """Runs the data checks against the last batch that was used."""
    from recsys.training.training_set import TrainingSet
    from recsys.training.validation import ValidationConfig, validate_training_set

    return validate_training_set(
        TrainingSet.read(folder / "training_set").examples,
        as_of=batch.as_of,
        fit_through=batch.fit_through,
        previous=_previous_batch(place, batch),
        config=ValidationConfig(),
        docs_folder=folder / "data_docs",
    )


def _previous_batch(place: Workplace, batch: Batch) -> Any:
    from recsys.training.training_set import read_summary
    from recsys.training.validation import PreviousBatch

    if batch.champion_version is None:
        return None
    tags = place.registry.get_tags(batch.champion_version)
    summary = read_summary(place.folder(tags["batch_id"]) / "training_set")
    if summary is None:
        return None
    return PreviousBatch(num_rows=summary.num_rows, dislike_share=summary.num_dislikes / max(summary.num_rows, 1))


def fit_into(place: Workplace, batch: Batch, folder: Path, fit_name: str) -> None:
    """Fits on the frozen training set and writes model, numbers and plot to `folder/<fit_name>`.

    `judged` is fitted through `fit_through`, `refit` through `as_of`.
    """
    from recsys.evaluation.report import plot_training_set_age
    from recsys.training.fit import fit
    from recsys.training.training_set import TrainingSet

    cut_off = batch.fit_through if fit_name == "judged" else batch.as_of
    training_set = TrainingSet.read(folder / "training_set")
    examples = training_set.examples_through(cut_off)
    config = fit_config(batch.config["seed"])
    result = fit(examples, training_set.items, cut_off, batch.config["half_life_days"], config)
    numbers = {"params": result.params, "metrics": result.metrics}
    with whole_folder(folder / fit_name) as building:
        result.recommender.save(building / "recommender")
        (building / "plots").mkdir()
        plot_training_set_age(
            examples["age_days"].to_numpy(),
            examples["sample_weight"].to_numpy(),
            examples["label"].to_numpy(),
            building / "plots" / "weights_by_age.png",
        )
        (building / "fit.json").write_text(json.dumps(numbers, indent=2), encoding="utf-8")


def train(place: Workplace, batch: Batch, fit_name: str) -> str:
    """Fits and registers; returns the version."""
    folder = place.folder(batch.batch_id)
    fit_into(place, batch, folder, fit_name)
    return register(place, batch, folder, fit_name)


def register(place: Workplace, batch: Batch, folder: Path, fit_name: str) -> str:
    """Logs one fit as a model version with everything that explains it."""
    from recsys.training.training_set import TrainingSet

    numbers = json.loads((folder / fit_name / "fit.json").read_text(encoding="utf-8"))
    cut_off = batch.fit_through if fit_name == "judged" else batch.as_of
    training_set = TrainingSet.read(folder / "training_set")
    trained_through = training_set.examples_through(cut_off)["recorded_at"].max()
    place.registry.ensure()
    return place.registry.log_version(
        VersionSpec(
            batch_id=batch.batch_id,
            fit=fit_name,
            run_name=f"{batch.as_of:%Y-%m-%d %H:%M} {fit_name}",
            model_folder=folder / fit_name / "recommender",
            params={**numbers["params"], "recipe": current_recipe(batch), "fit": fit_name},
            metrics=numbers["metrics"],
            tags={
                "trained_through": trained_through.isoformat(),
                "as_of": cut_off.isoformat(),
                "dataset_digest": str(batch.training_set_digest),
                "recipe": current_recipe(batch),
            },
            training_set=folder / "training_set" / "training_set.parquet",
            dataset_digest=str(batch.training_set_digest),
            artifacts={"data_docs": folder / "data_docs", "plots": folder / fit_name / "plots"},
            description=describe(batch, fit_name, cut_off, numbers["metrics"]),
            input_example=training_set.histories.head(20),
        )
    )


def describe(batch: Batch, fit_name: str, cut_off: datetime, metrics: dict[str, float]) -> str:
    """Markdown for the version's page."""
    forced = batch.config.get("force_reason")
    kind = (
        "Challenger, to be judged on later events"
        if fit_name == "judged"
        else "Refit of a challenger that passed the gate"
    )
    lines = [
        f"{kind}. Fitted on what was recorded up to **{cut_off:%Y-%m-%d %H:%M} UTC**; run `{batch.batch_id}`.",
        "",
        "| | |",
        "|---|---|",
        f"| run's cut-off `as_of` | {batch.as_of:%Y-%m-%d %H:%M} UTC |",
        f"| new dislikes behind it | {batch.num_examples} |",
        f"| training set | {batch.num_rows} rows, digest `{str(batch.training_set_digest)[:12]}` |",
        f"| half-life of sample weights | {batch.config['half_life_days']} days |",
        f"| champion it answers to | {batch.champion_version or 'none'} |",
        *([f"| forced | {forced} |"] if forced else []),
        *(f"| {name} | {value:.4f} |" for name, value in sorted(metrics.items())),
    ]
    return "\n".join(lines)


# Judging


def evaluate(place: Workplace, batch: Batch, folder: Path) -> Evidence:
    """Lists of every system for the holdout's users, judged; the same histories and cut-off for all."""
    from recsys.evaluation.evidence import Evidence
    from recsys.evaluation.holdout import compared_lists
    from recsys.evaluation.ranking_metrics import coverage, judge
    from recsys.model.recommender import Recommender
    from recsys.training.training_set import TrainingSet

    training_set = TrainingSet.read(folder / "training_set")
    challenger = Recommender.load(folder / "judged" / "recommender")
    systems = {"challenger": challenger}
    if batch.champion_version is not None:
        systems["champion"] = place.recommender(batch.champion_version)
    holdout = training_set.holdout
    users = sorted(holdout["user_id"].unique())
    examples = training_set.examples_through(batch.fit_through)
    half_life = challenger.recipe["best_trend_half_life_days"]
    lists = compared_lists(systems, examples, training_set.histories, users, batch.fit_through, half_life)
    return Evidence(
        batch_id=batch.batch_id,
        kind=_kind(place, batch),
        as_of=batch.as_of,
        fit_through=batch.fit_through,
        champion_version=batch.champion_version,
        challenger_version=batch.challenger_version or "not registered",
        per_user=judge(lists, holdout),
        coverage={name: coverage(top, len(challenger.item_ids), 10) for name, top in lists.items()},
        seed=batch.config["seed"],
    )


def _kind(place: Workplace, batch: Batch) -> Any:
    if batch.champion_version is None:
        return "first"
    same = place.registry.get_tags(batch.champion_version).get("recipe") == current_recipe(batch)
    return "refresh" if same else "recipe_change"


def judge(evidence: Evidence) -> Verdict:
    """The gate's verdict with its default margins."""
    from recsys.evaluation.gate import GateConfig, decide

    return decide(evidence, GateConfig())


def metrics_of(evidence: Evidence) -> dict[str, float]:
    """Mean of each metric by system, as `<system>_<metric>`; without those that no user could give."""
    means = evidence.per_user.groupby("system")[["ndcg_at_10", "recall_at_20", "mrr", "dislike_exposure_at_10"]].mean()
    flat = {
        f"{system}_{name}": float(value) for system, row in means.iterrows() for name, value in row.dropna().items()
    }
    flat |= {f"{system}_coverage_at_10": float(share) for system, share in evidence.coverage.items()}
    challenger = evidence.per_user[evidence.per_user["system"] == "challenger"]
    return {**flat, "holdout_users": float(challenger["ndcg_at_10"].notna().sum())}


def log_evidence(place: Workplace, batch: Batch, evidence: Evidence, folder: Path) -> dict[str, float]:
    """Adds metrics, table and plot to the challenger's run; returns the metrics."""
    from recsys.evaluation.report import plot_systems, systems_table

    metrics = metrics_of(evidence)
    (folder / "systems.md").write_text(systems_table(evidence), encoding="utf-8")
    plot_systems(evidence, folder / "systems.png")
    place.registry.log_evaluation(str(batch.challenger_version), metrics, sorted(folder.iterdir()))
    return metrics


def load_evidence(batch: Batch) -> Evidence:
    """The evidence that the batch's evaluation left behind.

    Raises:
        InputError: if the challenger has not been evaluated.
    """
    from recsys.evaluation.evidence import Evidence

    if batch.evidence_uri is None:
        raise InputError(
            f"Expected evidence for version {batch.challenger_version}, found none: run evaluate_challenger for batch "
            f"{batch.batch_id} first."
        )
    return Evidence.load(Path(unquote(urlparse(batch.evidence_uri).path)))


def describe_verdict(place: Workplace, batch: Batch, verdict: Verdict) -> None:
    """Puts verdict and comparison on top of the challenger's page in the registry."""
    from recsys.evaluation.report import verdict_markdown

    folder = place.folder(batch.batch_id)
    numbers = json.loads((folder / "judged" / "fit.json").read_text(encoding="utf-8"))
    text = describe(batch, "judged", batch.fit_through, numbers["metrics"])
    place.registry.describe(
        str(batch.challenger_version), verdict_markdown(verdict, load_evidence(batch)) + "\n\n" + text
    )


# Refit and promotion


def refit(place: Workplace, batch: Batch) -> str:
    """Fits through `as_of`, tests behaviour and closeness to what was judged, and registers the version."""
    from recsys.evaluation.behaviour import rank_overlap, run_behaviour_tests
    from recsys.model.recommender import Recommender
    from recsys.training.training_set import TrainingSet

    judged_recipe = place.registry.get_tags(str(batch.challenger_version)).get("recipe")
    if judged_recipe != current_recipe(batch):
        raise ConflictError(
            f"Expected the recipe {judged_recipe} that was judged, but this code is {current_recipe(batch)}: "
            "nothing is refitted. Start a new run, so that the new recipe is judged."
        )
    folder = place.folder(batch.batch_id)
    fit_into(place, batch, folder, "refit")
    histories = TrainingSet.read(folder / "training_set").histories
    judged, refitted = (Recommender.load(folder / name / "recommender") for name in ("judged", "refit"))
    results = run_behaviour_tests(refitted, histories, seed=batch.config["seed"])
    users = sorted(histories["user_id"].unique())[:500]
    own = histories[histories["user_id"].isin(users)]
    overlap = rank_overlap(judged.top_items(own, users, 10), refitted.top_items(own, users, 10))
    failed = [f"{r.name}: {r.detail}" for r in results if not r.passed]
    if overlap < MIN_OVERLAP:
        failed.append(f"rank_overlap: {overlap:.2f} of the judged lists' items, expected at least {MIN_OVERLAP}")
    if failed:
        raise DataCheckError(
            f"Expected the refit of version {batch.challenger_version} to pass its behaviour tests, but: "
            + "; ".join(failed) + ". It is not promoted; the champion stays."
        )  # fmt: skip
    version = register(place, batch, folder, "refit")
    metrics = {"rank_overlap_at_10": overlap, "behaviour_tests_passed": float(len(results))}
    (folder / "refit" / "behaviour.json").write_text(
        json.dumps([asdict(r) for r in results], indent=2), encoding="utf-8"
    )
    place.registry.log_evaluation(version, metrics, [folder / "refit" / "behaviour.json"])
    place.registry.set_tags(version, {"judged_version": str(batch.challenger_version)})
    return version


def current_champion(place: Workplace, now: datetime) -> str | None:
    """The version with the alias `champion`, after finishing a promotion that died half-way."""
    finish_promotion(place, now)
    return place.registry.get_alias("champion")


def finish_promotion(place: Workplace, now: datetime) -> Promotion | None:
    """Moves the aliases to what the newest audit row says, if that was not done; returns the row, None without one.

    The row is the intent, written before the alias moves: a crash in between leaves a row that is not complete, and
    whoever comes next does the rest.
    """
    last = place.store.last_promotion()
    if last is None or last.is_complete:
        return last
    if last.from_version is not None:
        place.registry.set_alias("previous_champion", last.from_version)
    place.registry.set_alias("champion", last.to_version)
    place.store.complete_promotion(last.sequence, now)
    return place.store.last_promotion()


def passed_batch(place: Workplace, model_version: str, run_id: str) -> Batch:
    """The batch whose refit is `model_version`, if this run's recorded verdict on it is "promote".

    Raises:
        InputError: otherwise.
    """
    tags = place.registry.get_tags(model_version)
    batch = place.store.get_batch(tags.get("batch_id", ""))
    verdicts = [d for d in place.store.list_decisions(run_id=run_id) if d.step == "decide_promotion"]
    passed = any(
        d.verdict == "promote" and d.numbers.get("model_version") == batch.challenger_version for d in verdicts
    )
    if batch.refit_version != model_version or not passed:
        raise InputError(
            f"Expected version {model_version} to be the refit of a challenger that passed the gate in run {run_id}, "
            f"got fit {tags.get('fit')!r} of batch {batch.batch_id}, verdicts {[d.verdict for d in verdicts]}: run "
            "decide_promotion and refit_challenger first."
        )
    return batch
