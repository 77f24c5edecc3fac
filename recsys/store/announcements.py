"""Which backlogs the scheduler was notified of. Every function works in the caller's transaction.

A backlog is what gathers after a batch was used; `after_batch` names that batch ('' before the first). Its row is written
before the scheduler is notified: the key lets only one of several processes in, and a row without `posted_at` shows the next
one that the first died, or could not reach the scheduler.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from recsys.records import BatchStatus
from recsys.store.catalog import insert_into
from recsys.store.tables import backlog_announcements, training_batches


@dataclass(frozen=True)
class Announcement:
    """The announcement of one backlog.

    Attributes:
        after_batch: the newest batch that used one; empty before the first.
        backlog: what was counted.
        noticed_at: when a process last set out to notify the scheduler.
        posted_at: when the scheduler was notified; None: not yet.
    """

    after_batch: str
    backlog: int
    noticed_at: datetime
    posted_at: datetime | None = None


def newest_used_batch(connection: Connection) -> str:
    """The batch that used a backlog last; empty before the first."""
    table = training_batches.c
    query = select(table.batch_id).where(table.status == BatchStatus.USED)
    newest = query.order_by(table.settled_at.desc(), table.claimed_at.desc(), table.batch_id.desc()).limit(1)
    return str(connection.execute(newest).scalar_one_or_none() or "")


def find_announcement(connection: Connection, after_batch: str) -> Announcement | None:
    """The announcement of the backlog after a batch."""
    query = select(backlog_announcements).where(backlog_announcements.c.after_batch == after_batch)
    row = connection.execute(query).one_or_none()
    return None if row is None else Announcement(**row._asdict())


def take_announcement(connection: Connection, wanted: Announcement, stale_since: datetime) -> bool:
    """Makes the announcement the caller's to post, and returns whether it is.

    Args:
        connection: in a transaction.
        wanted: without `posted_at`.
        stale_since: whoever set out up to then and has not posted is taken to be dead, or to have given up.
    """
    table = backlog_announcements.c
    statement: Any = insert_into(connection, backlog_announcements)
    row = {"after_batch": wanted.after_batch, "backlog": wanted.backlog, "noticed_at": wanted.noticed_at}
    made = connection.execute(statement.on_conflict_do_nothing().returning(table.after_batch), [row])
    if made.one_or_none() is not None:
        return True
    stale = (table.after_batch == wanted.after_batch) & table.posted_at.is_(None) & (table.noticed_at <= stale_since)
    taken = update(backlog_announcements).where(stale).values(noticed_at=wanted.noticed_at, backlog=wanted.backlog)
    return connection.execute(taken).rowcount == 1


def mark_posted(connection: Connection, after_batch: str, now: datetime) -> None:
    """Notes that the scheduler was notified; the first time counts."""
    table = backlog_announcements.c
    chosen = update(backlog_announcements).where(table.after_batch == after_batch, table.posted_at.is_(None))
    connection.execute(chosen.values(posted_at=now))
