"""The application: routes, errors and what stands before them, put together."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from refeed.errors import UserError
from refeed.serve.api_items import item_routes
from refeed.serve.api_people import people_routes
from refeed.serve.api_ratings import ratings_routes
from refeed.serve.api_state import state_routes
from refeed.serve.guard import Guard
from refeed.serve.page import page_routes, shown_fault
from refeed.serve.problems import Problem, add_handlers
from refeed.serve.service import Service
from refeed.serve.settings import Settings

__all__ = ["make_app", "make_service"]

log = logging.getLogger("refeed.serve")

_DATABASE_THREADS = 15  # as many as SQLAlchemy's pool has connections
_DESCRIPTION = """
Recommendations from ratings. Ids are yours, verbatim, in and out; wherever an item is asked for, its whole
title will do, too. What the model doesn't know is named in `unknown`, and errors are problems (RFC 9457).
"""


def make_service(settings: Settings) -> Service:
    """Load the models, and open the database.

    Raises:
        UserError: one of them can't be used.
    """
    _limit_threads(settings.threads or max(1, _processors() - 1))
    return Service(settings)


def _limit_threads(count: int) -> None:
    """Leave a processor to the requests, of those that the models' products would take."""
    threadpool_limits(count)  # numpy
    os.environ["OMP_NUM_THREADS"] = str(count)  # PyTorch, where a model that needs it is loaded
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_app(service: Service) -> ASGIApp:
    """The application of a service, which is closed with it."""
    app = FastAPI(
        title="refeed",
        version=version("refeed"),
        description=_DESCRIPTION,
        lifespan=lambda _: _life(service),
        docs_url=None,
        redoc_url=None,
    )
    add_handlers(app, shown_fault if service.settings.page else lambda *_: None)
    for routes in (people_routes, ratings_routes, item_routes, state_routes):
        # Not included: an included router is looked up at every request, which costs as much as the pass.
        app.router.routes.extend(routes(service).routes)
    if service.settings.page:
        app.router.routes.extend(page_routes(service, app.openapi).routes)
    _describe_problems(app)
    inner: ASGIApp = app
    if service.settings.origins:
        inner = CORSMiddleware(
            app,
            allow_origins=list(service.settings.origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return Guard(inner, service.settings, service.metrics)


def _describe_problems(app: FastAPI) -> None:
    """Put the schema of problems into the OpenAPI document, and a token where one is needed."""
    made = app.openapi

    def openapi() -> dict[str, object]:
        document = made()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}, {}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


@asynccontextmanager
async def _life(service: Service) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _DATABASE_THREADS
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def reload() -> None:
        task = loop.create_task(_reload(service))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread, or no such signal
        loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        await asyncio.to_thread(service.close)


async def _reload(service: Service) -> None:
    try:
        await asyncio.to_thread(service.lineup.swap_all)
        log.info("the models were loaded again")
    except UserError as error:
        log.error("the models could not be loaded again, the old ones go on: %s", error)  # noqa: TRY400
