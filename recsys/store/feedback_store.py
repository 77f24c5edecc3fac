"""The feedback store, on SQLite or PostgreSQL: one database, seen in parts."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from recsys.store.database import Database
from recsys.store.parts.audit import Audit
from recsys.store.parts.backlog import Backlog
from recsys.store.parts.brigading import Brigading
from recsys.store.parts.catalog import Catalog
from recsys.store.parts.erasures import Erasures
from recsys.store.parts.feedback import Feedback
from recsys.store.parts.insights import Insights
from recsys.store.parts.lists import Lists
from recsys.store.parts.stream import Stream


class FeedbackStore:
    """The feedback database, as the loop uses it. Use it as a context manager, or call `close`.

    Every call of a part is one transaction, unless it says that it is several. All datetimes are aware; they come back in
    UTC. Errors are those of `recsys.errors`.

    Attributes:
        database: transactions, for work that spans parts.
        feedback: what users said.
        stream: what training, evaluation and serving read of it, as of a cut-off.
        catalog: items, and what users excluded.
        backlog: the backlog and the batches that claim it.
        audit: what was decided, and who was champion.
        lists: what users are recommended.
        insights: triggers, patterns, improvement.
        brigading: bursts of dislikes that do not count.
        erasures: who was erased, and what still holds them.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.feedback = Feedback(database)
        self.stream = Stream(database)
        self.catalog = Catalog(database)
        self.backlog = Backlog(database)
        self.audit = Audit(database)
        self.lists = Lists(database)
        self.insights = Insights(database)
        self.brigading = Brigading(database)
        self.erasures = Erasures(database)

    @classmethod
    def open(cls, database_url: str) -> Self:
        """Opens a database that `recsys db upgrade` has prepared; errors are those of `Database.open`."""
        return cls(Database.open(database_url))

    def require_ready(self) -> None:
        """Checks now that the database can be reached and has the newest schema and its key; raises as `open` does."""
        self.database.require_ready()

    def close(self) -> None:
        """Closes all connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
