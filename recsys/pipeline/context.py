"""The stores and folders that the steps of one process work with."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import NotFoundError
from recsys.files.digests import require_same
from recsys.pipeline.kept_files import recommender_files, version_advice
from recsys.registry.registry import Registry
from recsys.settings import Settings
from recsys.store import FeedbackStore
from recsys.store.user_key import KEY_BYTES, UserKey

if TYPE_CHECKING:
    from recsys.model.protocol import RecommenderProtocol


@dataclass(frozen=True)
class Context:
    """The stores and folders that the steps of one process work with."""

    settings: Settings
    store: FeedbackStore
    registry: Registry

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: Settings | None = None) -> Iterator[Context]:
        """Opens the feedback database; the registry is reached when it is first used."""
        places = settings or Settings.from_environment()
        with FeedbackStore.open(places.database_url) as store:
            yield cls(places, store, Registry(places.tracking_uri, places.mlflow_artifacts, places.mlflow_link_url))

    def folder(self, batch_id: str) -> Path:
        """Where the steps of a batch leave their files."""
        try:
            batch = self.store.backlog.get_batch(batch_id)
        except NotFoundError:  # the registry may hold versions of another database
            return self.settings.batch_folder(batch_id)
        return self.settings.batch_folder(batch_id, (batch.training_set_uri, batch.evidence_uri))

    @cached_property
    def _user_key(self) -> UserKey:
        return self.store.erasures.user_key() or UserKey(secrets.token_bytes(KEY_BYTES))

    def pseudonym(self, user_id: str) -> str:
        """What a user is called in files that are kept: a hash under the key of the database, the same in every night.

        While the database has no key, it is one of this process only. What is to be kept calls `make_pseudonyms` first.
        """
        return self._user_key.hash_of(user_id)

    def make_pseudonyms(self) -> None:
        """Makes the key if there is none, so that pseudonyms are the same for good."""
        self.store.erasures.make_user_key()
        vars(self).pop("_user_key", None)

    def recommender(self, version: str) -> RecommenderProtocol:
        """A registered version, ready to score: a copy of its files is compared with what was registered, then loaded.

        Raises:
            DigestError: if a file is not the one that was registered.
        """
        known = recommender_files(self, version)
        with tempfile.TemporaryDirectory(prefix="recsys-version-") as folder:
            local = self.registry.files.download(version, Path(folder))
            require_same(local, known, version_advice(version))
            from recsys.model.protocol import load_recommender

            return load_recommender(local)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="recsys-dry-run-") as folder:
        yield Path(folder)
