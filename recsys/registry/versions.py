"""Versions of the registered model and their tags, as MLflow has them now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recsys.errors import NotFoundError
from recsys.registry.connection import MlflowConnection
from recsys.registry.errors import translated_errors
from recsys.registry.local_store import require_own_home, require_readable
from recsys.registry.rows import ModelRows, read_rows

MODEL_NAME = "feedback-recommender"


@dataclass(frozen=True)
class VersionSummary:
    """One version in the registry: its number, when it was made, its tags."""

    version: str
    created_at: datetime
    tags: dict[str, str]


class Versions:
    """Looks versions up, and tags them."""

    def __init__(self, connection: MlflowConnection) -> None:
        self._connection = connection

    @contextmanager
    def at(self, version: str) -> Iterator[Any]:
        """The version, read from MLflow.

        Raises:
            NotFoundError: if there is none such.
        """
        with translated_errors(self._connection.tracking_uri):
            if not str(version).isdecimal():
                raise NotFoundError(f"Expected a version number of {MODEL_NAME}, got {version!r}.")
            yield self._connection.client.get_model_version(MODEL_NAME, str(version))

    def get_tags(self, version: str) -> dict[str, str]:
        """All tags of a version."""
        rows = self.rows()
        if rows is not None and version in rows.created_ms:
            return rows.tags[version]
        with self.at(version) as found:
            return {str(key): str(value) for key, value in found.tags.items()}

    def get_params(self, version: str) -> dict[str, str]:
        """Settings of a version's fit."""
        with self.at(version) as found:
            return {
                str(key): str(value) for key, value in self._connection.client.get_run(found.run_id).data.params.items()
            }

    def has_version(self, version: str) -> bool:
        """Whether the registry has the version: MLflow lets people delete them."""
        rows = self.rows()
        if rows is not None:
            return version in rows.created_ms
        try:
            with self.at(version):
                return True
        except NotFoundError:
            return False

    def list_versions(self) -> list[VersionSummary]:
        """All versions, in the order of their numbers. Makes no store where there is none."""
        if not self._connection.has_store():
            return []
        if rows := self.rows():
            made = [VersionSummary(one, _moment(ms), rows.tags[one]) for one, ms in rows.created_ms.items()]
            return sorted(made, key=lambda summary: int(summary.version))
        with translated_errors(self._connection.tracking_uri):
            found, token = [], None
            while token != "":  # MLflow's own last page has no token
                page = self._connection.client.search_model_versions(f"name = '{MODEL_NAME}'", page_token=token)
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

    def set_tags(self, version: str, tags: Mapping[str, str]) -> None:
        """Sets tags of a version and of its run; others stay."""
        with self.at(version) as found:
            for key, value in tags.items():
                self._connection.client.set_tag(found.run_id, key, str(value))
                self._connection.client.set_model_version_tag(MODEL_NAME, version, key, str(value))

    def run_id(self, version: str) -> str:
        """The tracking run of a version."""
        with self.at(version) as found:
            return str(found.run_id)

    def rows(self) -> ModelRows | None:
        """What a store in this process holds, read without MLflow; None where MLflow has to be asked."""
        if self._connection.file is None or not self._connection.file.exists():
            return None
        require_readable(self._connection.file)
        require_own_home(self._connection.file, self._connection.artifact_root)
        return read_rows(self._connection.file, MODEL_NAME)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
