"""Whose folder a demo may use, and when things happen in it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recsys.settings import Settings

LOG, PLAN = "demo.log", "demo.json"  # the log is there from the first second on, and says whose folder it is


@dataclass(frozen=True)
class Plan:
    """When things happen, fixed by the first demo of a folder, so that a later one finds them again.

    Attributes:
        started_at: wall clock, ISO 8601.
    """

    started_at: str

    @classmethod
    def of(cls, home: Path) -> Plan:
        """The plan of the folder; made now if it has none."""
        path = home / PLAN
        if not path.is_file():
            path.write_text(json.dumps(asdict(cls(datetime.now(UTC).isoformat(timespec="seconds")))), encoding="utf-8")
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def now(self) -> datetime:
        """When the demo was first started."""
        return datetime.fromisoformat(self.started_at)

    @property
    def stream_ends_on(self) -> datetime:
        """The day before: the last of the stream, as it is imported."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)

    @property
    def first_champion_as_of(self) -> datetime:
        """A month before the stream's end: what follows is for tonight's run to learn from."""
        return self.stream_ends_on - timedelta(days=30)

    @property
    def quiet_night_as_of(self) -> datetime:
        """The night after it, when hardly anybody had clicked yet."""
        return self.first_champion_as_of + timedelta(days=1)


def require_own_folder(settings: Settings, fresh: bool) -> None:
    """Ends the demo before it touches a folder with somebody's data: it imports, and `--fresh` removes all of it."""
    home = settings.home
    if (home / LOG).exists() or not home.exists():
        return
    if (fresh and any(home.iterdir())) or has_events(settings):
        sys.exit(
            f"Expected a folder that an earlier demo made, or one without feedback, got {home}: it holds somebody's data, and "
            "nothing was touched. Name another one: RECSYS_HOME=FOLDER make demo"
        )


def has_events(settings: Settings) -> bool:
    """Whether somebody's stream is in the feedback database; one that cannot be read may hold anything."""
    from recsys.errors import RecsysError
    from recsys.store import FeedbackStore

    if not (settings.home / "feedback.db").exists():
        return False
    try:
        with FeedbackStore.open(settings.database_url) as store:
            return store.stream.stream_summary(datetime.max.replace(tzinfo=UTC)).last_recorded_at is not None
    except RecsysError:
        return True
