"""Aliases of the registered model, as MLflow has them now; it remembers none of yesterday."""

from __future__ import annotations

from recsys.registry.connection import MlflowConnection
from recsys.registry.errors import translated_errors
from recsys.registry.versions import MODEL_NAME, Versions


class Aliases:
    """Reads and moves aliases."""

    def __init__(self, connection: MlflowConnection, versions: Versions) -> None:
        self._connection, self._versions = connection, versions

    def set_alias(self, alias: str, version: str) -> None:
        """Points an alias at a version. MLflow compares nothing and remembers nothing: the caller keeps the audit."""
        with self._versions.at(version):
            self._connection.client.set_registered_model_alias(MODEL_NAME, alias, version)

    def delete_alias(self, alias: str) -> None:
        """Takes an alias away, if it is there."""
        if alias in self.all_aliases():
            with translated_errors(self._connection.tracking_uri):
                self._connection.client.delete_registered_model_alias(MODEL_NAME, alias)

    def all_aliases(self) -> dict[str, str]:
        """Alias -> version. Makes no store where there is none."""
        if not self._connection.has_store():
            return {}
        if rows := self._versions.rows():
            return rows.aliases
        with translated_errors(self._connection.tracking_uri):
            found = self._connection.client.search_registered_models(f"name = '{MODEL_NAME}'")
            return {str(alias): str(version) for alias, version in (found[0].aliases if found else {}).items()}

    def get_alias(self, alias: str) -> str | None:
        """The version an alias points at; None if it points nowhere."""
        return self.all_aliases().get(alias)
