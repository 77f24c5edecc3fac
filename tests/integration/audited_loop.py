"""Runs that passed the gate, without their models: what matters for promotions, rollbacks and the audit, in no time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.evaluation.gate.decide import GateConfig, decide
from recsys.evaluation.gate.evidence import Evidence
from recsys.files.digests import digest_folder
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import record_evidence
from recsys.records import Batch, BatchStatus, Decision
from recsys.registry.registry import MODEL_NAME
from recsys.store.artifact_digests import ArtifactKind

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FILES = ("model.keras", "catalog.parquet", "recipe.json")


@dataclass
class AuditedLoop:
    """Nights that end with a refit which may be promoted. Refits are versions 2, 4, 6 ..., as in the real loop.

    Attributes:
        context: the stores; the steps of this process use the same.
        folder: for evidence.
        now: time of the next step; every call is an hour later.
    """

    context: Context
    folder: Path
    now: datetime = START

    def later(self) -> datetime:
        self.now += HOUR
        return self.now

    def night(self, champion: str | None) -> str:
        """A run whose challenger passed the gate beside `champion`: version of the refit; its run is `run-<version>`."""
        judged = self._register(self._next(), "judged")
        refit = self._register(self._next(), "refit", judged_version=judged)
        run_id, at = f"run-{refit}", self.later()
        batch = Batch(run_id, at, at - HOUR / 2, champion, BatchStatus.CLAIMED, 0, RunConfig(), at, at + HOUR)
        self.context.store.backlog.claim_backlog(batch)
        evidence = make_evidence(batch, judged).save(self.folder / run_id)
        self.context.store.backlog.update_batch(run_id, challenger_version=judged, refit_version=refit)
        record_evidence(self.context, run_id, evidence)
        self.context.store.backlog.settle_backlog(run_id, at)
        self.pass_gate(run_id, run_id)
        return refit

    def pass_gate(self, run_id: str, batch_id: str) -> None:
        """Writes what `decide_promotion` writes in the ledger."""
        batch = self.context.store.backlog.get_batch(batch_id)
        verdict = decide(Evidence.load(self.folder / batch_id), GateConfig())
        assert verdict.verdict == "promote", verdict.reasons
        numbers = {"model_version": batch.challenger_version, "batch_id": batch_id, **verdict.numbers}
        self.context.store.audit.record_decision(
            Decision(run_id, "decide_promotion", verdict.verdict, verdict.reasons, batch.as_of, self.later(), numbers)
        )

    def accept_thin_evidence(self, batch_id: str, reason: str) -> str:
        """A run in which a person wants a challenger that too few users could judge; its id."""
        batch, run_id = self.context.store.backlog.get_batch(batch_id), f"accepted-{batch_id}"
        evidence = Evidence.load(self.folder / batch_id)
        few = evidence.per_user[evidence.per_user["user_id"] < "u005"]
        verdict = decide(replace(evidence, per_user=few), GateConfig(), None, reason)
        numbers = {"model_version": batch.challenger_version, "batch_id": batch_id, **verdict.numbers}
        self.context.store.audit.record_decision(
            Decision(run_id, "decide_promotion", verdict.verdict, verdict.reasons, batch.as_of, self.later(), numbers)
        )
        return run_id

    def reason_of(self, run_id: str, step: str) -> str:
        """The first reason of a decision."""
        return next(d.reasons[0] for d in self.context.store.audit.list_decisions(run_id=run_id) if d.step == step)

    def promote(self, version: str, run_id: str | None = None) -> None:
        pipeline.promote(version, run_id or f"run-{version}", self.later())

    def champions(self, count: int) -> list[str]:
        """So many nights, each promoted after the other."""
        versions: list[str] = []
        for _ in range(count):
            versions.append(self.night(versions[-1] if versions else None))
            self.promote(versions[-1])
        return versions

    def aliases(self) -> tuple[str | None, str | None]:
        """Where `champion` and `previous_champion` are."""
        found = self.context.registry.aliases.all_aliases()
        return found.get("champion"), found.get("previous_champion")

    def audit(self) -> list[tuple[str, str, bool]]:
        """(kind, version, whether its aliases were moved), in order."""
        return [(str(row.kind), row.to_version, row.is_complete) for row in self.context.store.audit.list_promotions()]

    def delete(self, version: str) -> None:
        """What a person does in MLflow's UI; MLflow takes the aliases away, too."""
        self.context.registry.connection.client.delete_model_version(MODEL_NAME, version)

    def _next(self) -> int:
        return 1 + max((int(one.version) for one in self.context.registry.versions.list_versions()), default=0)

    def _register(self, number: int, fit: str, **tags: str) -> str:
        run_id = f"run-{number + (fit == 'judged')}"
        tags |= {"batch_id": run_id, "fit": fit, "as_of": self.now.isoformat(), "verdict": "promote"}
        registry = self.context.registry
        run = registry.connection.client.create_run(registry._experiment_id).info
        made = registry.connection.client.create_model_version(
            MODEL_NAME, source=f"{run.artifact_uri}/model", run_id=run.run_id, tags=tags, await_creation_for=0
        )
        assert int(made.version) == number
        folder = Path(made.source.removeprefix("file://"))
        recommender = folder / "artifacts" / "recommender"
        recommender.mkdir(parents=True)
        for name in FILES:
            (recommender / name).write_text(f"{name} of version {number}, which nobody loads")
        self.context.store.backlog.record_files(ArtifactKind.VERSION, run_id, fit, digest_folder(folder, fit))
        return str(made.version)


def make_evidence(batch: Batch, challenger: str) -> Evidence:
    """A challenger that is better for every one of 300 users."""
    users = [f"u{number:03d}" for number in range(300)]
    against = "champion" if batch.champion_version else "popularity"
    rows = [
        {"system": system, "user_id": user, "num_liked": 2, "num_disliked": 1, "ndcg_at_10": score + 0.001 * (n % 7),
         "recall_at_20": score, "mrr": score, "dislike_exposure_at_10": 0.1}
        for system, score in (("challenger", 0.4), (against, 0.3)) for n, user in enumerate(users)
    ]  # fmt: skip
    return Evidence(
        batch_id=batch.batch_id, kind="refresh" if batch.champion_version else "first", as_of=batch.as_of,
        fit_through=batch.fit_through, champion_version=batch.champion_version, challenger_version=challenger,
        per_user=pd.DataFrame(rows), seed=0, fidelity={},
    )  # fmt: skip
