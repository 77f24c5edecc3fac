"""Versions of the registered model, their tags and aliases, as MLflow has them now; it remembers no alias of yesterday."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from recsys.errors import NotFoundError
from recsys.registry.connection import MlflowConnection
from recsys.registry.errors import translated_errors
from recsys.registry.local_store import missing_store, require_own_home, require_readable, require_whole, version_source
from recsys.registry.rows import ModelRows, read_rows

MODEL_NAME = "feedback-recommender"


@dataclass(frozen=True)
class VersionSummary:
    """One version in the registry: its number, when it was made, its tags."""

    version: str
    created_at: datetime
    tags: dict[str, str]


class VersionReader(MlflowConnection):
    """Looks versions up, and moves aliases."""

    @contextmanager
    def _at(self, version: str) -> Iterator[Any]:
        """The version, read from MLflow.

        Raises:
            NotFoundError: if there is none such.
        """
        with translated_errors(self._tracking_uri):
            if not str(version).isdecimal():
                raise NotFoundError(f"Expected a version number of {MODEL_NAME}, got {version!r}.")
            yield self._client.get_model_version(MODEL_NAME, str(version))

    def get_tags(self, version: str) -> dict[str, str]:
        """All tags of a version."""
        rows = self._rows()
        if rows is not None and version in rows.created_ms:
            return rows.tags[version]
        with self._at(version) as found:
            return {str(key): str(value) for key, value in found.tags.items()}

    def get_params(self, version: str) -> dict[str, str]:
        """Settings of a version's fit."""
        with self._at(version) as found:
            return {str(key): str(value) for key, value in self._client.get_run(found.run_id).data.params.items()}

    def has_version(self, version: str) -> bool:
        """Whether the registry has the version: MLflow lets people delete them."""
        rows = self._rows()
        if rows is not None:
            return version in rows.created_ms
        try:
            with self._at(version):
                return True
        except NotFoundError:
            return False

    def list_versions(self) -> list[VersionSummary]:
        """All versions, in the order of their numbers. Makes no store where there is none."""
        if not self._has_store():
            return []
        if rows := self._rows():
            made = [VersionSummary(one, _moment(ms), rows.tags[one]) for one, ms in rows.created_ms.items()]
            return sorted(made, key=lambda summary: int(summary.version))
        with translated_errors(self._tracking_uri):
            found, token = [], None
            while token != "":  # MLflow's own last page has no token
                page = self._client.search_model_versions(f"name = '{MODEL_NAME}'", page_token=token)
                found += list(page)
                token = page.token or ""
        summaries = [
            VersionSummary(
                str(version.version),
                _moment(version.creation_timestamp),
                {str(key): str(value) for key, value in version.tags.items()},
            )
            for version in found
        ]
        return sorted(summaries, key=lambda summary: int(summary.version))

    def set_alias(self, alias: str, version: str) -> None:
        """Points an alias at a version. MLflow compares nothing and remembers nothing: the caller keeps the audit."""
        with self._at(version):
            self._client.set_registered_model_alias(MODEL_NAME, alias, version)

    def delete_alias(self, alias: str) -> None:
        """Takes an alias away, if it is there."""
        if alias in self.aliases():
            with translated_errors(self._tracking_uri):
                self._client.delete_registered_model_alias(MODEL_NAME, alias)

    def aliases(self) -> dict[str, str]:
        """Alias -> version. Makes no store where there is none."""
        if not self._has_store():
            return {}
        if rows := self._rows():
            return rows.aliases
        with translated_errors(self._tracking_uri):
            found = self._client.search_registered_models(f"name = '{MODEL_NAME}'")
            return {str(alias): str(version) for alias, version in (found[0].aliases if found else {}).items()}

    def get_alias(self, alias: str) -> str | None:
        """The version an alias points at; None if it points nowhere."""
        return self.aliases().get(alias)

    def require_model(self, version: str) -> None:
        """Refuses a version of a store in this process whose recommender is gone.

        Raises:
            NotFoundError: naming the folder.
        """
        location = self.model_location(version)
        folder = Path(unquote(location.removeprefix("file://"))) / "artifacts" / "recommender"
        if location.startswith("file://") and not folder.is_dir():
            raise NotFoundError(
                f"Expected the model of version {version} in {folder}, but there is no such folder: put it back from a backup, "
                "or make an earlier champion champion with `recsys rollback`."
            )

    def model_location(self, version: str) -> str:
        """Where MLflow keeps the model of a version: a URI.

        Raises:
            NotFoundError: if there is no such version.
        """
        if self._file is not None and (source := version_source(self._file, MODEL_NAME, version)) is not None:
            return source
        with self._at(version):
            return str(self._client.get_model_version_download_uri(MODEL_NAME, version))

    @contextmanager
    def model_files(self, version: str, below: str = "") -> Iterator[Path]:
        """A folder that holds the files of a version's model, or of a sub-folder of it; not to be written into.

        Of a store in this process it is the store's own folder, which may be missing; from a server the files are fetched.
        """
        location = self.model_location(version)
        if location.startswith("file://"):
            yield Path(unquote(location.removeprefix("file://"))) / below
            return
        with tempfile.TemporaryDirectory(prefix="recsys-version-") as temporary, self._at(version):
            from mlflow.artifacts import download_artifacts

            uri = f"{location}/{below}".rstrip("/")
            local = download_artifacts(uri, dst_path=temporary, tracking_uri=self._tracking_uri)
            yield Path(local)

    def _has_store(self) -> bool:
        return self._file is None or self._file.exists()

    def require_store(self, *, reads_all: bool = False) -> None:
        """Refuses a store in this process that is gone or damaged; for whoever knows that there are versions.

        Args:
            reads_all: also reads a whole file, which takes as long as it is large.

        Raises:
            TerminalError: naming the file.
        """
        if self._file is None:
            return
        if not self._file.exists():
            raise missing_store(self._file)
        (require_whole if reads_all else require_readable)(self._file)

    def _rows(self) -> ModelRows | None:
        """What a store in this process holds, read without MLflow; None where MLflow has to be asked."""
        if self._file is None or not self._file.exists():
            return None
        require_readable(self._file)
        require_own_home(self._file, self._artifact_root)
        return read_rows(self._file, MODEL_NAME)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
