"""The feedback database: tables, migrations, and the store that everything else uses."""

from recsys.store.events import StreamSummary
from recsys.store.feedback_store import FeedbackStore
from recsys.store.schema import migrate

__all__ = ["FeedbackStore", "StreamSummary", "migrate"]
