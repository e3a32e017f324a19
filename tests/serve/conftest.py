"""What the server's tests share: databases of both kinds, a small model, and a server in a process."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra serve")

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
        db.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
