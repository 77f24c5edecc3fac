"""Model versions, kept by MLflow: a tracking run for each fit, a version of `feedback-recommender`, and its aliases.

One fit of one batch is one run and one version, however often the step that logs it dies and starts again. The version
is created last, with all its tags, in one transaction of MLflow's: once it can be found, everything before it is there.

    run (tags batch_id, fit) -> params, metrics, dataset, artifacts -> logged model (files) -> version -> run finished
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from recsys.errors import InputError, TerminalError
from recsys.files.digests import FileDigest, digest_folder
from recsys.files.private import make_private
from recsys.registry.aliases import Aliases
from recsys.registry.connection import MlflowConnection
from recsys.registry.deletion import FitRemover
from recsys.registry.errors import translated_errors
from recsys.registry.files import VersionFiles
from recsys.registry.texts import (
    EXPERIMENT_NAME,
    EXPERIMENT_TAGS,
    MODEL_DESCRIPTION,
    MODEL_TRAINING,
    has_tags,
    source_tags,
)
from recsys.registry.version_spec import VersionSpec, as_dataset_input, as_params, save_pyfunc
from recsys.registry.versions import MODEL_NAME, Versions, VersionSummary

OnSaved = Callable[[Mapping[str, FileDigest]], None]

__all__ = ["MODEL_NAME", "Registry", "VersionSpec", "VersionSummary"]


class Registry:
    """The versions of one deployment.

    A fit of a batch is logged by one process at a time (the batch's lease sees to that); readers may be many.

    Attributes:
        connection: where MLflow is.
        versions: looks versions up, and tags them.
        aliases: reads and moves aliases.
        files: the files of a version.
        fits: finds and removes what was fitted on a training set.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path, link_url: str = "") -> None:
        """Remembers where things are; connects on first use. Arguments are those of `MlflowConnection`."""
        self.connection = MlflowConnection(tracking_uri, artifact_root, link_url)
        self.versions = Versions(self.connection)
        self.aliases = Aliases(self.connection, self.versions)
        self.files = VersionFiles(self.connection, self.versions)
        self.fits = FitRemover(self.connection, self.versions)

    @cached_property
    def _experiment_id(self) -> str:
        location = None if self.connection.is_server else self.connection.artifact_root.resolve().as_uri()
        found = self.connection.client.get_experiment_by_name(EXPERIMENT_NAME)
        if found is None:
            _unless_exists(self.connection.client.create_experiment, EXPERIMENT_NAME, artifact_location=location)
            found = self.connection.client.get_experiment_by_name(EXPERIMENT_NAME)
        if found.lifecycle_stage != "active":
            raise TerminalError(
                f"Expected the experiment {EXPERIMENT_NAME!r}, but it was deleted in MLflow: "
                f"bring it back with `mlflow experiments restore --experiment-id {found.experiment_id}`."
            )
        for key, value in EXPERIMENT_TAGS.items():
            if found.tags.get(key) != value:  # also of an experiment that an older version of this code made
                self.connection.client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id)

    def ensure(self) -> None:
        """Makes the store, the experiment and the registered model where they are missing."""
        with translated_errors(self.connection.tracking_uri):
            self.connection.make_store()
            self._ensure()

    def _ensure(self) -> None:
        from recsys.evaluation.reporting.tables import with_room

        description = with_room(MODEL_DESCRIPTION)
        found = self.connection.client.search_registered_models(f"name = '{MODEL_NAME}'") if self._experiment_id else []
        if not found:
            _unless_exists(self.connection.client.create_registered_model, MODEL_NAME, description=description)
        elif found[0].description != description:
            self.connection.client.update_registered_model(MODEL_NAME, description)

    def log_version(self, spec: VersionSpec, on_saved: OnSaved = lambda files: None) -> str:
        """Logs a fit and registers it; the same batch and fit again give the same version.

        Args:
            spec: what to log.
            on_saved: gets the digests of the model's files before they are uploaded. It is not called where an earlier
                attempt has made the version already: that one's call holds.

        Returns:
            The version. A half-finished attempt is taken up where it can be, never doubled.
        """
        with translated_errors(self.connection.tracking_uri):
            self.connection.make_store()
            self._ensure()
            version = self._find_version(spec)
            if version is None:
                run = self._open_run(spec)
                self._log_run(run, spec)
                model = self._log_model(run, spec, on_saved)
                version = self.connection.client.create_model_version(
                    MODEL_NAME,
                    source=model.artifact_location,  # `models:/ID` would be looked up in the current folder's store
                    run_id=run.info.run_id,
                    model_id=model.model_id,
                    tags=spec.version_tags | {"model_id": model.model_id},  # a version does not remember its model
                    description=spec.description,
                    await_creation_for=60,
                )
            self._finish(version)
            return str(version.version)

    def _find_version(self, spec: VersionSpec) -> Any | None:
        found = self.connection.client.search_model_versions(f"name = '{MODEL_NAME}' and {has_tags(spec.key)}")
        own = [version for version in found if spec.key.items() <= version.tags.items()]
        return min(own, key=lambda version: int(version.version), default=None)

    def _open_run(self, spec: VersionSpec) -> Any:
        """The run of an earlier attempt with the same parameters, or a new one."""
        params = as_params(spec.params)
        for run in self.connection.client.search_runs(
            [self._experiment_id], has_tags(spec.key), order_by=["start_time ASC"]
        ):
            if not spec.key.items() <= run.data.tags.items():
                continue
            if run.data.params.items() <= params.items():
                return run
            self.connection.client.delete_run(
                run.info.run_id
            )  # MLflow never changes a parameter; no version came of this run
        return self.connection.client.create_run(self._experiment_id, run_name=spec.run_name, tags=spec.version_tags)

    def _log_run(self, run: Any, spec: VersionSpec) -> None:
        from mlflow.entities import Param, RunTag

        run_id = run.info.run_id
        params = [Param(key, value) for key, value in as_params(spec.params).items() if key not in run.data.params]
        for start in range(0, len(params), 100):  # what MLflow takes at once
            self.connection.client.log_batch(run_id, params=params[start : start + 100])
        tags = {**spec.version_tags, **source_tags(spec.source), "mlflow.note.content": spec.description}
        self.connection.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self.connection.client.log_inputs(run_id, datasets=[as_dataset_input(spec)])
        for folder, path in spec.artifacts.items():
            self._log_artifact(run_id, path, folder)

    def _log_artifact(self, run_id: str, path: Path, folder: str) -> None:
        if path.is_dir():
            self.connection.client.log_artifacts(run_id, str(path), folder)
        elif path.is_file():
            self.connection.client.log_artifact(run_id, str(path), folder)
        else:
            raise InputError(f"Expected a file or folder to log under {folder!r}, found nothing at {path}.")

    def _log_model(self, run: Any, spec: VersionSpec, on_saved: OnSaved) -> Any:
        """Uploads the model; over what an earlier attempt uploaded, which may be half a model.

        MLflow never takes an output of a run back, so a retry goes on with the model that the run has already.
        """
        from mlflow.entities import LoggedModelOutput

        run_id = run.info.run_id
        begun = self.connection.client.search_logged_models([self._experiment_id], f"source_run_id = '{run_id}'")
        model = begun[0] if begun else self.connection.client.create_logged_model(
            self._experiment_id, MODEL_NAME, source_run_id=run_id, tags=spec.key, params=as_params(spec.params)
        )  # fmt: skip
        outputs = self.connection.client.get_run(run_id).outputs
        if model.model_id not in {output.model_id for output in (outputs.model_outputs if outputs else [])}:
            self.connection.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        self._log_metrics(run, model.model_id, spec.metrics)
        with tempfile.TemporaryDirectory(prefix="recsys-version-") as temporary:
            folder = Path(temporary) / "model"
            save_pyfunc(folder, model, spec)
            make_private(folder)  # the source in it has the modes of the installed package, and MLflow keeps them
            on_saved(digest_folder(folder, location=model.artifact_location))
            self.connection.client.log_model_artifacts(model.model_id, str(folder))
        return self.connection.client.finalize_logged_model(model.model_id, "READY")

    def _log_metrics(self, run: Any, model_id: str | None, metrics: Mapping[str, float], step: int = 0) -> None:
        """Logs into the run and for its model. The run's start is the time, so that a retry adds no second point."""
        from mlflow.entities import Metric

        at = run.info.start_time
        points = [Metric(key, float(value), at, step, model_id=model_id) for key, value in metrics.items()]
        self.connection.client.log_batch(run.info.run_id, metrics=points)

    def _finish(self, version: Any) -> None:
        """What comes after the version; repeated by a retry that finds the version there."""
        link = json.dumps([{"name": MODEL_NAME, "version": str(version.version)}])
        self.connection.client.set_logged_model_tags(version.tags["model_id"], {"mlflow.modelVersions": link})
        if self.connection.client.get_run(version.run_id).info.status != "FINISHED":
            self.connection.client.set_terminated(version.run_id)

    def log_evaluation(
        self, version: str, metrics: Mapping[str, float], artifacts: Sequence[Path], step: int = 0
    ) -> None:
        """Adds what evaluating a version gave to the version's run; files go to its folder `evaluation`.

        Evaluated again, it needs a higher `step`: MLflow shows the metrics of the highest, and keeps the others.
        """
        with self.versions.at(version) as found:
            self._log_metrics(self.connection.client.get_run(found.run_id), found.tags.get("model_id"), metrics, step)
            for path in artifacts:
                self._log_artifact(found.run_id, path, "evaluation")

    def log_measurement(self, version: str, metrics: Mapping[str, float], measured_at: datetime) -> None:
        """Adds a point per metric to the run of a version that serves. The same time again adds no second point."""
        at = int(measured_at.timestamp() * 1000)  # of one step, MLflow shows the latest point as the metric's value
        with self.versions.at(version) as found:
            from mlflow.entities import Metric

            model_id = found.tags.get("model_id")
            points = [Metric(key, float(value), at, 0, model_id=model_id) for key, value in metrics.items()]
            if points:
                self.connection.client.log_batch(found.run_id, metrics=points)

    def log_files(self, version: str, folder: str, paths: Sequence[Path]) -> None:
        """Adds files to a folder of a version's run; one of the same name is replaced."""
        with self.versions.at(version) as found:
            for path in paths:
                self._log_artifact(found.run_id, path, folder)

    def describe(self, version: str, markdown: str) -> None:
        """Replaces the description of a version. A markdown table needs a blank line before it."""
        with self.versions.at(version):
            self.connection.client.update_model_version(MODEL_NAME, version, markdown)

    def link(self, version: str) -> str:
        """Where the UI shows a version: a URL, or the path under whatever server shows an embedded store."""
        path = f"/#/models/{MODEL_NAME}/versions/{version}{MODEL_TRAINING}"
        host = self.connection.link_url
        return host.rstrip("/") + path if host.startswith(("http://", "https://")) else path


def _unless_exists(create: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Creates, or finds that another process was first."""
    from mlflow.exceptions import MlflowException

    try:
        create(*args, **kwargs)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
