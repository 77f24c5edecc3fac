"""The files of a version: where they are, whether they are there, a copy of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from recsys.errors import NotFoundError
from recsys.registry.connection import MlflowConnection
from recsys.registry.local_store import version_source
from recsys.registry.versions import MODEL_NAME, Versions


class VersionFiles:
    """Finds and fetches the files of a version's model."""

    def __init__(self, connection: MlflowConnection, versions: Versions) -> None:
        self._connection, self._versions = connection, versions

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
        file = self._connection.file
        if file is not None and (source := version_source(file, MODEL_NAME, version)) is not None:
            return source
        with self._versions.at(version):
            return str(self._connection.client.get_model_version_download_uri(MODEL_NAME, version))

    @contextmanager
    def model_files(self, version: str, below: str = "") -> Iterator[Path]:
        """A folder that holds the files of a version's model, or of a sub-folder of it; not to be written into.

        Of a store in this process it is the store's own folder, which may be missing; from a server the files are fetched.
        """
        location = self.model_location(version)
        if location.startswith("file://"):
            yield Path(unquote(location.removeprefix("file://"))) / below
            return
        with tempfile.TemporaryDirectory(prefix="recsys-version-") as temporary, self._versions.at(version):
            from mlflow.artifacts import download_artifacts

            uri = f"{location}/{below}".rstrip("/")
            local = download_artifacts(uri, dst_path=temporary, tracking_uri=self._connection.tracking_uri)
            yield Path(local)

    def download(self, version: str, folder: Path) -> Path:
        """Brings the recommender of a version into a sub-folder of `folder`, named after the version.

        Returns:
            The folder for `load_recommender`. It is there as a whole or not at all; a second call downloads nothing.
        """
        with self._versions.at(version) as found:
            from mlflow.artifacts import download_artifacts

            target = folder / f"version-{version}-{found.run_id}"
            if target.is_dir():
                return target
            self.require_model(version)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
                # `models:/...` would be looked up in the current folder's store
                stored = self._connection.client.get_model_version_download_uri(MODEL_NAME, version)
                uri = f"{stored}/artifacts/recommender"
                local = download_artifacts(uri, dst_path=temporary, tracking_uri=self._connection.tracking_uri)
                _rename_unless_exists(Path(local), target)
            return target


def _rename_unless_exists(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:  # another process was first; the content of a version never changes
        if not target.is_dir():
            raise
