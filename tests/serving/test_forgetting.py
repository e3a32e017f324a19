"""Forgetting a person, byte by byte: in a server's log, its database and its model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

from refeed import Ratings
from refeed.ratings.ids import Ids
from refeed.serve.histories import without_forgotten
from refeed.serve.retrain import retrain

SECRET = "somebody-with-a-long-and-secret-name"  # noqa: S105
FILM = "a-film-that-nobody-else-has-rated"


def trained_on_secret(run: Path) -> None:
    """Give one of the people of the training this id."""
    histories = Ratings.load(run / "history")
    names = list(histories.user_ids)
    names[5] = SECRET
    replace(histories, user_ids=Ids(names)).save(run / "history.new")
    shutil.rmtree(run / "history")
    (run / "history.new").rename(run / "history")


def holding(folder: Path, *secrets: str) -> set[str]:
    """Names of the files below in which one of these can be found."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)
    }


def call(address: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{address}{path}", data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def test_after_forgetting_no_file_of_the_server_holds_the_person(run: Path, tmp_path: Path) -> None:
    trained_on_secret(run)
    older = Path(shutil.copytree(run, tmp_path.with_name(f"{tmp_path.name}-older") / "run"))
    log = tmp_path / "access.log"
    environment = {**os.environ, "REFEED_PORT": "0", "REFEED_DATABASE": str(tmp_path / "r.sqlite")}
    with log.open("w", encoding="utf-8") as written:
        server = subprocess.Popen(
            [sys.executable, "-m", "refeed", "serve", run], env=environment, stderr=written, text=True
        )
    try:
        while not log.read_text(encoding="utf-8"):
            assert server.poll() is None
        address = log.read_text(encoding="utf-8").splitlines()[0]
        ratings, listed = f"/v1/users/{SECRET}/ratings", f"/v1/users/{SECRET}/recommendations?k=3"
        for number in range(60):  # so many that pages of the database are split, and freed later
            call(address, "PUT", ratings, {"318": 1 + number % 4, f"{FILM}-{number}": 2})
            call(address, "POST", "/v1/events", {"user": SECRET, "items": [FILM, "1"], "kind": "shown"})
        assert len(call(address, "GET", listed)["items"]) == 3
        held = holding(tmp_path, SECRET, FILM)
        assert any(name.startswith("r.sqlite") for name in held)
        assert any(name.startswith("run/history/") for name in held)

        done = call(address, "DELETE", f"/v1/users/{SECRET}")
        assert (done["ratings"], done["events"], done["training_histories"]) == (120, 120, 1)
        assert holding(tmp_path, SECRET, FILM) == set()
        # Who asks about them sees somebody unknown, and asking leaves nothing either.
        call(address, "GET", listed)
        assert "/v1/users/{user}/recommendations" in log.read_text(encoding="utf-8")
        assert holding(tmp_path, SECRET, FILM) == set()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(120)
    assert holding(tmp_path, SECRET, FILM) == set()

    # A folder from before, as of a backup: neither verb that trains on it learns from them again.
    database = str(tmp_path / "r.sqlite")
    assert SECRET not in without_forgotten(Ratings.load(older / "history"), database).user_ids
    retrain(older, database, hold_back=0.1, force=True, tolerance=10.0)
    assert holding(older, SECRET) == set()
    assert SECRET not in Ratings.load(older / "history").user_ids
