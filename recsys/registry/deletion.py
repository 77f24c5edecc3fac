"""Removes fits for good: the version, the files of its model, its run with everything that was logged.

MLflow deletes a version or a run by marking it; the files stay where they are. Here they go first, so that a process that is
killed leaves a run which can still be found by the digest of its training set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from recsys.registry.connection import MlflowConnection
from recsys.registry.errors import translated_errors
from recsys.registry.texts import EXPERIMENT_NAME
from recsys.registry.versions import MODEL_NAME, Versions

RUNS_PER_PAGE = 1_000


@dataclass(frozen=True)
class Fit:
    """A run that fitted on one training set, and the version that came of it, if it is still there."""

    run_id: str
    batch_id: str
    dataset_digest: str
    version: str | None


class FitRemover:
    """Finds and removes what was fitted on a training set."""

    def __init__(self, connection: MlflowConnection, versions: Versions) -> None:
        self._connection, self._versions = connection, versions

    def fits_on(self, digests: Iterable[str]) -> list[Fit]:
        """Runs whose training set had one of the digests and of which anything is left. Makes no store where there is none."""
        wanted = frozenset(digests)
        if not wanted or not self._connection.has_store():
            return []
        versions = {(tags.get("batch_id"), tags.get("fit"), tags.get("dataset_digest")): version
                    for version, tags in ((one.version, one.tags) for one in self._versions.list_versions())}  # fmt: skip
        found = []
        with translated_errors(self._connection.tracking_uri):
            for run in self._runs_on(wanted):
                tags = run.data.tags
                key = (tags.get("batch_id"), tags.get("fit"), tags["dataset_digest"])
                version = versions.get(key)
                if (
                    version is not None
                    or run.info.lifecycle_stage == "active"
                    or self._connection.client.list_artifacts(run.info.run_id)
                ):
                    found.append(Fit(run.info.run_id, tags.get("batch_id", ""), tags["dataset_digest"], version))
        return found

    def _runs_on(self, digests: frozenset[str]) -> list[Any]:
        """Runs with one of the digests, those that were deleted too; one look at all runs, however many digests there are."""
        from mlflow.entities import ViewType

        experiment = self._connection.client.get_experiment_by_name(EXPERIMENT_NAME)
        found: list[Any] = []
        token = "" if experiment is None else None
        while token != "":
            page = self._connection.client.search_runs(
                [experiment.experiment_id], "", ViewType.ALL, max_results=RUNS_PER_PAGE, page_token=token
            )
            found += [run for run in page if run.data.tags.get("dataset_digest") in digests]
            token = page.token or ""
        return found

    def delete_version(self, version: str) -> None:
        """Deletes a version, if it is there; MLflow takes its aliases away, too. Its files stay: see `delete_fit`."""
        if self._versions.has_version(version):
            with translated_errors(self._connection.tracking_uri):
                self._connection.client.delete_model_version(MODEL_NAME, version)

    def delete_fit(self, fit: Fit) -> None:
        """Deletes the files of a run and of its models, then both; what an earlier try deleted is passed over."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with translated_errors(self._connection.tracking_uri):
            run = self._connection.client.get_run(fit.run_id)
            models = self._connection.client.search_logged_models(
                [run.info.experiment_id], f"source_run_id = '{fit.run_id}'", max_results=100
            )
            for model in models:
                get_artifact_repository(model.artifact_location, self._connection.tracking_uri).delete_artifacts()
                self._connection.client.delete_logged_model(model.model_id)
            get_artifact_repository(run.info.artifact_uri, self._connection.tracking_uri).delete_artifacts()
            if run.info.lifecycle_stage == "active":
                self._connection.client.delete_run(fit.run_id)
