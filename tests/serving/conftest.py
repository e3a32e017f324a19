"""What the server's tests share: databases of both kinds, a small model, and a server in a process."""

# ruff: noqa: E402 - without the extra these tests are skipped, before anything of it is imported

import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("fastapi", "sqlalchemy", "httpx2"):
    pytest.importorskip(needed, reason="needs the extras serve and dev")

import uvicorn
from starlette.testclient import TestClient

from refeed import Ratings, load_recipe, load_sample
from refeed.serve.app import make_app, make_service
from refeed.serve.lineup import Place
from refeed.serve.settings import Settings
from refeed.training.fit import fit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of these tests' own, started by scripts/postgres."""
    name = f"tests-{os.getpid()}"
    started = subprocess.run(
        [ROOT / "scripts/postgres", "start", name], capture_output=True, text=True, check=False
    )
    if started.returncode:
        pytest.skip(f"no PostgreSQL server here: {started.stderr.strip()}")
    try:
        yield started.stdout.strip()
    finally:
        subprocess.run([ROOT / "scripts/postgres", "stop", name], check=True, capture_output=True)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database: a file, and one in a PostgreSQL server."""
    if request.param == "sqlite":
        yield str(tmp_path / "ratings.sqlite")
        return
    import psycopg  # noqa: PLC0415

    server = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}"')
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 300 films, trained for a moment on the sample's ratings. Not to be changed: copy it."""
    run = tmp_path_factory.mktemp("trained") / "run"
    fit(
        few_ratings(),
        None,
        load_recipe("default", ["train.steps=20", "model.width=8", "train.keep_state=true"]),
        run,
    )
    return run


def few_ratings() -> Ratings:
    """The sample's ratings of its 300 best known films by its first 200 people."""
    sample = load_sample()
    known = np.sort(np.argsort(-sample.item_counts, kind="stable")[:300])
    mask = np.isin(sample.items, known) & (sample.users < 200)
    few = sample.select(mask).compact()
    found = [re.search(r"\((\d{4})\)\s*$", title) for title in few.titles or ()]
    years = [float(year[1]) if year else None for year in found]
    eras = [None if year is None else "new|recent" if year > 1995 else "old" for year in years]
    return replace(few, attributes={"year": tuple(years), "era": tuple(eras)})


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that model's folder, of a test's own."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def serving(run: Path, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Starts an application in this process: of the model, unless other settings are given."""
    with ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            given = {"places": [Place("main", run, 1.0)], "database": str(tmp_path / "r.sqlite"), **settings}
            app = make_app(make_service(Settings(**given)))
            return stack.enter_context(TestClient(app, base_url="http://127.0.0.1:8000"))

        yield start


@pytest.fixture
def client(serving: Callable[..., TestClient]) -> TestClient:
    """Calls an application with the usual settings."""
    return serving()


@contextmanager
def _listening(settings: Settings) -> Iterator[str]:
    """A server in a thread, at a free port; its address."""
    config = uvicorn.Config(make_app(make_service(settings)), log_config=None, port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def listening() -> Callable[[Settings], AbstractContextManager[str]]:
    """A server in a thread, with settings, as long as the context lasts; gives its address."""
    return _listening


@pytest.fixture
def live(run: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a server in a thread, at a free port; returns its address."""
    with ExitStack() as stack:

        def start(**settings: Any) -> str:
            given = {"places": [Place("main", run, 1.0)], "database": str(tmp_path / "r.sqlite"), **settings}
            return stack.enter_context(_listening(Settings(**given)))

        yield start
