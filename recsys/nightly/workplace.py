"""The stores and folders that the steps of one process work with."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import NotFoundError
from recsys.file_digests import require_same
from recsys.nightly.kept_files import recommender_files, version_advice
from recsys.registry import Registry
from recsys.settings import Settings
from recsys.store import FeedbackStore

if TYPE_CHECKING:
    from recsys.model.recommender import Recommender


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
            yield cls(places, store, Registry(places.tracking_uri, places.mlflow_artifacts, places.mlflow_link_url))

    def folder(self, batch_id: str) -> Path:
        """Where the steps of a batch leave their files."""
        try:
            batch = self.store.get_batch(batch_id)
        except NotFoundError:  # the registry may hold versions of another database
            return self.settings.batch_folder(batch_id)
        return self.settings.batch_folder(batch_id, (batch.training_set_uri, batch.evidence_uri))

    def recommender(self, version: str) -> Recommender:
        """A registered version, ready to score: a copy of its files is compared with what was registered, then loaded.

        Raises:
            DigestError: if a file is not the one that was registered.
        """
        known = recommender_files(self, version)
        with tempfile.TemporaryDirectory(prefix="recsys-version-") as folder:
            local = self.registry.download(version, Path(folder))
            require_same(local, known, version_advice(version))
            from recsys.model.recommender import Recommender

            return Recommender.load(local)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="recsys-dry-run-") as folder:
        yield Path(folder)
