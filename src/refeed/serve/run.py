"""`refeed serve`: start the server, and stop it gracefully."""

import gc
import json
import logging
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from refeed.errors import ConfigError, UserError

__all__ = ["prepare_sample", "serve"]

_DRAIN = 30
"""Seconds that requests have to end in after SIGTERM."""


class _Json(logging.Formatter):
    """A line of JSON for each record; the access log's are JSON already."""

    def format(self, record: logging.LogRecord) -> str:
        """As text."""
        if record.name == "refeed.access":
            return record.getMessage()
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))
        if hasattr(record, "request"):
            line["request"] = record.request
        return json.dumps(line)


def serve(settings: Callable[[], object], *, access_log: bool = True, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that are running are answered first.

    Args:
        settings: makes the `Settings`; called after the extra's packages were found.
        access_log: a line of JSON to stderr for each request.
        say: hears the address.

    Raises:
        UserError: the extra is not installed, or a model, the database or the address can't be used.
    """
    try:
        import fastapi  # noqa: F401, PLC0415 - an extra
        import jinja2  # noqa: F401, PLC0415
        import prometheus_client  # noqa: F401, PLC0415
        import sqlalchemy  # noqa: F401, PLC0415
        import uvicorn  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            f"serving needs {error.name}, which is not installed; install it by: pip install 'refeed[serve]'"
        ) from error
    from refeed.serve.app import make_app, make_service  # noqa: PLC0415
    from refeed.serve.settings import Settings  # noqa: PLC0415

    _log(access_log=access_log)
    given = settings()
    assert isinstance(given, Settings)  # noqa: S101 - the caller's own
    listening = _listen(given.host, given.port)
    service = make_service(given)
    config = uvicorn.Config(
        make_app(service),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_DRAIN,
        server_header=False,
        date_header=False,
        backlog=2048,
    )
    listening.listen(config.backlog)  # from here on callers wait instead of being refused
    _share_the_interpreter()
    host, port = listening.getsockname()[:2]
    say(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    uvicorn.Server(config).run(sockets=[listening])


def _share_the_interpreter() -> None:
    """Let requests be read while a batch is answered, and spare the garbage collector what stays anyway.

    Both threads want Python's lock; by default a thread waits 5 ms for it, as long as a whole answer takes.
    """
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _listen(host: str, port: int) -> socket.socket:
    """Take the address first: loading models only to learn that it is taken would be a pity."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: {error.strerror}; give another port, or 0 for any that is free"
        ) from error
    listening.setblocking(False)
    return listening


def _log(*, access_log: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    for name, level in (
        ("refeed.serve", logging.INFO),
        ("refeed.access", logging.INFO if access_log else logging.WARNING),
        ("uvicorn", logging.WARNING),
    ):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def prepare_sample(out: Path, say: Callable[[str], None]) -> Path:
    """Train on the films that come with the package, unless that was done before.

    Args:
        out: the model folder; made if absent.
        say: hears what goes on.
    """
    if (out / "card.md").exists() and (out / "model.safetensors").exists():
        say(f"{out} is there already, and is served as it is")
        return out
    from refeed.config import load_recipe  # noqa: PLC0415 - takes seconds
    from refeed.progress import report_progress  # noqa: PLC0415
    from refeed.ratings.sample import load_sample  # noqa: PLC0415
    from refeed.ratings.split import split_last  # noqa: PLC0415
    from refeed.training.fit import fit  # noqa: PLC0415

    started = time.perf_counter()
    parts = split_last(load_sample(), 0.1)
    with report_progress() as reporter:
        fit(parts.train, parts.valid, load_recipe("default", ["train.steps=600"]), out, reporter=reporter)
    say(f"trained on the films that come with refeed, in {time.perf_counter() - started:.0f} seconds")
    return out
