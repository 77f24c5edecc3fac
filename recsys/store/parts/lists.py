"""What users are recommended: the part of the feedback store that publishes lists, serves them and forgets old ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from recsys.records import RecommendationSet
from recsys.store import list_pruning, publications, recommendations
from recsys.store.catalog import chunks
from recsys.store.database import Database
from recsys.store.list_content import PreparedList
from recsys.store.recommendations import Publication, ServedLists
from recsys.store.table_sizes import ListsSize, read_lists_size


class Lists:
    """Published lists, lists that were made when they were served, and exposures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace_recommendation_sets(
        self, model_version: str, as_of: datetime, sets: Iterable[RecommendationSet], now: datetime | None = None
    ) -> int:
        """Makes `sets` the lists of a version, and returns how many there are; see `publications.publish_lists`.

        Not one transaction but many short ones, with the lists computed in between; what can be seen changes at once, when
        all are there. Lists that they replace and that nobody was shown are deleted afterwards.
        """
        num_lists = publications.publish_lists(self._database, model_version, as_of, sets, now)
        self.delete_unseen_lists()
        return num_lists

    def served_publication(self) -> Publication | None:
        """What everybody is served from: of the newest champion that has lists; None as long as nothing was published."""
        with self._database.reading() as connection:
            return recommendations.served_publication(connection)

    def served_lists(self, user_id: str) -> ServedLists | None:
        """A user's published list and the one for users without, of one publication; None as long as there is none."""
        with self._database.reading() as connection:
            return recommendations.served_lists(connection, user_id)

    def get_recommendations(self, user_id: str | None) -> RecommendationSet | None:
        """A user's list of the publication that is served; None: the one for users without one of their own."""
        with self._database.reading() as connection:
            publication = recommendations.served_publication(connection)
            return None if publication is None else recommendations.published_list(connection, publication, user_id)

    def get_adjusted_list(
        self, user_id: str, publication_id: int, after: datetime | None = None
    ) -> RecommendationSet | None:
        """The list that was last made for a user when it was served, from a publication; None if not `after` a time."""
        with self._database.reading() as connection:
            return recommendations.newest_adjusted_set(connection, user_id, publication_id, after)

    def add_list(self, one: RecommendationSet) -> int | None:
        """Writes one list that is not published, and returns its number; see `recommendations.insert_set`."""
        prepared = PreparedList.of(one)
        return self._database.write(lambda c: recommendations.insert_set(c, prepared))

    def add_exposure(self, recommendation_set_id: int, num_items: int, served_at: datetime) -> bool:
        """Notes that a user was shown the first entries of a list; False if the list is no longer there."""
        return self._database.write(
            lambda c: recommendations.insert_exposure(c, recommendation_set_id, num_items, served_at)
        )

    def count_recommendation_sets(self, model_version: str, as_of: datetime) -> int:
        """How many lists there are of a version whose newest publication has this cut-off; 0 if it has another."""
        with self._database.reading() as connection:
            return recommendations.count_lists(connection, model_version, as_of)

    def withdraw_lists(self, kept_versions: Collection[str], now: datetime) -> None:
        """Takes the lists of all other versions out of service for good, but for those that are served."""
        self._database.write(lambda c: list_pruning.withdraw(c, kept_versions, now))

    def delete_unseen_lists(self, made_before: datetime | None = None) -> int:
        """Deletes lists that are not served any more and that nobody was shown, a few at a time; returns how many.

        Args:
            made_before: only lists that are older, but then also what dead processes left; a publication that began
                before then is kept from going on.
        """
        if made_before is not None:
            self._database.write(lambda c: list_pruning.interrupt(c, made_before))
        return sum(
            self._database.write(lambda c, ids=ids: list_pruning.delete_unseen(c, ids))  # type: ignore[misc]
            for ids in chunks(self.unseen_lists(made_before=made_before), publications.LISTS_PER_TRANSACTION)
        )

    def unseen_lists(
        self, kept_versions: Collection[str] | None = None, made_before: datetime | None = None
    ) -> list[int]:
        """Lists that are not served any more and that nobody was shown; see `list_pruning.unseen_lists`."""
        with self._database.reading() as connection:
            return list_pruning.unseen_lists(connection, kept_versions, made_before)

    def give_pages_back(self) -> None:
        """Shortens a SQLite file by its unused pages, in short transactions."""
        while self._database.write(list_pruning.give_pages_back):
            pass

    def lists_size(self) -> ListsSize:
        """Number of all lists and the space that they take."""
        with self._database.reading() as connection:
            return read_lists_size(connection)
