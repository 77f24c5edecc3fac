"""The feedback API as an ASGI application."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI

from recsys import __version__
from recsys.foreign_text import log_to_stderr
from recsys.serving import answers, catalog_answers, docs_page, openapi, problems, security_headers
from recsys.serving.auth.failed_attempts import FailedAttempts
from recsys.serving.auth.identity import Identity, KeyCache
from recsys.serving.auth.rate_limits import RateLimits, parse_limit
from recsys.serving.auth.tokens import TokenVerifier
from recsys.serving.backlog_ready import AnnouncerConfig, BacklogAnnouncer
from recsys.serving.config import ServingConfig
from recsys.serving.metrics import Metrics, Observed
from recsys.serving.recorder import DislikeRecorder
from recsys.serving.routes import catalog, dislikes, insights, users
from recsys.serving.service import Announcer, Recorder, Service
from recsys.settings import ApiSettings, Settings
from recsys.store import FeedbackStore

DESCRIPTION = """
What a product sends to the recommender, and what it gets back.

Every request about a user carries `Authorization: Bearer <token>`: an **API key**, made by `recsys api-key create`,
together with `X-User-ID`, which says whom the product's server speaks for; or a **user's own JWT**, whose `sub` is the
user. Errors are RFC 9457 problem details that name the field, what was expected and what came.
"""
ANSWERS = (
    answers.DislikeAnswer,
    answers.UndoAnswer,
    answers.InteractionsAnswer,
    answers.RecommendationsAnswer,
    catalog_answers.ItemAnswer,
    catalog_answers.ExclusionAnswer,
    catalog_answers.ExclusionsAnswer,
    answers.ErasureAnswer,
    answers.PatternsAnswer,
    answers.MetricsAnswer,
)


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)


def create_app(
    store: FeedbackStore,
    config: ServingConfig | None = None,
    *,
    announcer: Announcer | None = None,
    recorder: Recorder | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Makes the application. The store stays the caller's: who opened it closes it.

    Args:
        store: the feedback database.
        config: limits and identity; by default no JWT is accepted.
        announcer: started and stopped with the application.
        recorder: writes the dislikes; by default a `DislikeRecorder` that tells the announcer.
        clock: the time now, aware.

    Raises:
        InputError: if the configuration cannot be used.
    """
    config = config or ServingConfig()
    service = Service(
        store=store, config=config, clock=clock, recorder=recorder or _recorder(store, announcer), announcer=announcer,
        identity=Identity(KeyCache(store, config.key_cache_s), TokenVerifier(config)), limits=RateLimits(config),
        failures=FailedAttempts(parse_limit("RECSYS_RATE_LIMIT_FAILURES", config.rate_limit_failures)),
        metrics=Metrics(store, config.metrics_folder),
    )  # fmt: skip
    app = FastAPI(
        title="Feedback API", version=__version__, description=DESCRIPTION, lifespan=_lifespan, redirect_slashes=False,
        docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.service = service
    problems.install(app, config.retry_after_s)
    openapi.install(app, ANSWERS)
    docs_page.install(app)
    app.add_middleware(Observed, metrics=service.metrics)
    security_headers.install(app, docs_page.PATH)
    for routes in (dislikes, users, catalog, insights):
        app.include_router(routes.router)
    return app


def app_from_environment() -> FastAPI:
    """The application for the environment: each worker of `recsys serve` makes its own, with its own connections."""
    log_to_stderr(logging.WARNING)  # a worker is a process of its own
    settings = ApiSettings.from_environment()
    folder = Path(settings.metrics_folder) if settings.metrics_folder else None
    store = FeedbackStore.open(Settings.from_environment().database_url)
    announcer = BacklogAnnouncer(store, AnnouncerConfig.of(settings))
    return create_app(store, ServingConfig.of(settings, folder), announcer=announcer)


def _recorder(store: FeedbackStore, announcer: Announcer | None) -> Recorder:
    return DislikeRecorder(store) if announcer is None else DislikeRecorder(store, on_recorded=announcer.notice)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    anyio.to_thread.current_default_thread_limiter().total_tokens = service.config.num_threads
    # What is loaded now stays: otherwise the garbage collector walks through all of it now and then, for 0.1 s.
    gc.collect()
    gc.freeze()
    service.recorder.start()
    if service.announcer is not None:
        service.announcer.start()
    try:
        yield
    finally:
        # No request is running any more. Stopping waits for the database, which would block this loop.
        await anyio.to_thread.run_sync(service.recorder.stop)
        if service.announcer is not None:
            await anyio.to_thread.run_sync(service.announcer.stop)
