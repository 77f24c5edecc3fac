"""The lists that were published, made when they were served, and how often they were."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    false,
    text,
)

from recsys.records import SetKind
from recsys.store.column_types import BigIntegerKey, UtcDateTime
from recsys.store.tables.metadata import metadata, one_of

# One row per time that the lists of a version were published. They can be seen once it is complete, all at once; which of
# the complete ones is served follows from the audit of champions, never from a time.
publications = Table(
    "publications",
    metadata,
    Column("publication_id", BigIntegerKey, primary_key=True),
    Column("model_version", Text, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),  # histories were read as of this cut-off
    Column(
        "attempt", Integer, nullable=False
    ),  # grows when another process goes on with it; only the newest one writes
    Column("started_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),  # null: being written, or left by a process that died
    Column("withdrawn_at", UtcDateTime),  # from then on its lists are not served, and may be deleted
    CheckConstraint("attempt >= 1", name="attempt_starts_at_1"),
    sqlite_autoincrement=True,
)
# What a dead process left is gone on with, never begun beside.
Index(
    "uq_publications_one_is_open_per_version",
    publications.c.model_version,
    unique=True,
    sqlite_where=publications.c.completed_at.is_(None),
    postgresql_where=publications.c.completed_at.is_(None),
)

recommendation_sets = Table(
    "recommendation_sets",
    metadata,
    Column("recommendation_set_id", BigIntegerKey, primary_key=True),
    # Of a published list, the publication that it is new in: it holds for the later ones of its version until one has
    # another. Of an adjusted list, the publication that it was made from.
    Column("publication_id", BigInteger, ForeignKey("publications.publication_id")),
    Column("user_id", Text),  # null: the list for users without one of their own
    Column("model_version", Text, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False, server_default=SetKind.PUBLISHED),
    Column(
        "is_gone", Boolean, nullable=False, server_default=false()
    ),  # from here on the user has no list of their own
    Column("calibration", JSON),  # how the version turns a score into a chance of being liked
    Column(
        "adjustment_power", Float, nullable=False, server_default=text("1")
    ),  # how the version answers to adjustments
    Column("digest", LargeBinary),  # of the content; null: written before there were digests
    Column("explanations", LargeBinary),  # reasons and contributions of all entries; see `store.list_content`
    one_of("kind", SetKind),
    CheckConstraint("adjustment_power > 0", name="adjustment_power_is_positive"),
    CheckConstraint("kind <> 'published' OR publication_id IS NOT NULL", name="published_lists_name_a_publication"),
    Index(None, "user_id", "publication_id"),
    sqlite_autoincrement=True,
)
# A publication holds one list a user. Nulls differ from each other in an index, so the list for everybody else has its own.
Index(
    "uq_recommendation_sets_one_per_publication_and_user",
    recommendation_sets.c.publication_id,
    recommendation_sets.c.user_id,
    unique=True,
    sqlite_where=recommendation_sets.c.kind == SetKind.PUBLISHED,
    postgresql_where=recommendation_sets.c.kind == SetKind.PUBLISHED,
)
FOR_EVERYBODY_ELSE = (recommendation_sets.c.kind == SetKind.PUBLISHED) & recommendation_sets.c.user_id.is_(None)
Index(
    "uq_recommendation_sets_for_everybody_else",
    recommendation_sets.c.publication_id,
    unique=True,
    sqlite_where=FOR_EVERYBODY_ELSE,
    postgresql_where=FOR_EVERYBODY_ELSE,
)

# What queries ask for; the rest of an entry is in the `explanations` of its list.
recommendation_entries = Table(
    "recommendation_entries",
    metadata,
    Column(
        "recommendation_set_id",
        BigInteger,
        ForeignKey("recommendation_sets.recommendation_set_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("rank", Integer, primary_key=True),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("score", Float, nullable=False),
    Column("predicted_score", Float),  # the score as a chance of being liked, 0 to 1
    CheckConstraint("rank >= 1", name="rank_starts_at_1"),
    CheckConstraint("predicted_score BETWEEN 0 AND 1", name="predicted_score_is_a_share"),
    sqlite_with_rowid=False,  # the key is the table: no second copy of it in an index
)

# One row per time that a list was given to a user: the denominator of every rate.
recommendation_exposures = Table(
    "recommendation_exposures",
    metadata,
    Column("exposure_id", BigIntegerKey, primary_key=True),
    Column(
        "recommendation_set_id",
        BigInteger,
        ForeignKey("recommendation_sets.recommendation_set_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("num_items", Integer, nullable=False),  # the first so many entries were shown
    Column("served_at", UtcDateTime, nullable=False),
    CheckConstraint("num_items >= 0", name="num_items_is_a_count"),
    Index(None, "recommendation_set_id"),
    Index(None, "served_at"),
    sqlite_autoincrement=True,
)
