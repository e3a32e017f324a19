"""The default model, and models of clicks, are served where PyTorch is not installed."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refeed import Recommender, load_recipe
from refeed.training.fit import fit

HISTORY = {"318": 5, "296": 4.5, "1": 2}


@pytest.fixture(scope="module")
def absent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, first on the path, makes `import torch` fail as where it is not installed."""
    folder = tmp_path_factory.mktemp("absent")
    (folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    return folder


def command(run: Path) -> list[str]:
    return [sys.executable, "-m", "refeed", "serve", str(run), "--port", "0", "--no-access-log"]


@contextmanager
def served(run: Path, absent: Path) -> Iterator[str]:
    """The address of a server of a process of its own."""
    process = subprocess.Popen(
        command(run), env={**os.environ, "PYTHONPATH": str(absent)}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        address = process.stderr.readline()
        assert address.startswith("http://"), address + process.stderr.read()
        yield address.strip()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def asked(address: str, path: str, body: object = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text


def test_the_default_models_answers_are_those_of_the_library(run: Path, absent: Path) -> None:
    full = Recommender.load(run)
    expected, why = full.recommend(HISTORY, 20), full.explain(HISTORY, "2571")
    with served(run, absent) as address:
        lines = asked(address, "/v1/recommend", {"history": HISTORY, "k": 20})["items"]
        assert [line["item"] for line in lines] == [line.item for line in expected]
        for name in ("rating", "score", "p_liked", "low", "high"):
            wanted = [getattr(line, name) for line in expected]
            assert [line[name] for line in lines] == pytest.approx(wanted, abs=1e-5)
        explained = asked(address, "/v1/explain", {"history": HISTORY, "item": "2571"})
        assert explained["prediction"] == pytest.approx(why.prediction, abs=1e-5)
        asked(address, "/v1/users/ann/ratings", {"318": 5}, "PUT")
        assert len(asked(address, "/v1/users/ann/recommendations?k=3")["items"]) == 3
        assert asked(address, "/v1/items/318/similar?k=2")["items"]
        assert asked(address, "/v1/model")["models"]["main"]["kind"] == "ridge"
        assert "For you" in asked(address, "/")
        assert "calibr" in asked(address, "/page/report?name=main").lower()


def test_clicks_are_served_too(run: Path, tmp_path: Path, absent: Path) -> None:
    histories, clicks = Recommender.load(run).histories, tmp_path / "clicks"
    ones = replace(histories, values=np.ones(len(histories), dtype=np.float32), kind="interactions")
    fit(ones, None, load_recipe("default", []), clicks)
    expected = Recommender.load(clicks).recommend({"318": 1.0, "296": 1.0}, 5)
    with served(clicks, absent) as address:
        lines = asked(address, "/v1/recommend", {"history": ["318", "296"], "k": 5})["items"]
    assert [line["item"] for line in lines] == [line.item for line in expected]


def test_a_model_that_needs_it_says_so(run: Path, tmp_path: Path, absent: Path) -> None:
    deep = tmp_path / "deep"
    fit(Recommender.load(run).histories, None, load_recipe("simple", ["train.epochs=1"]), deep)
    done = subprocess.run(
        command(deep),
        env={**os.environ, "PYTHONPATH": str(absent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "can't be read without torch, which is not installed" in done.stderr
    assert "Traceback" not in done.stderr
