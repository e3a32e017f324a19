"""Batches, queues, and a model that takes another one's place while people ask."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from refeed import Recommender, load_recipe
from refeed.errors import ConfigError, ModelError
from refeed.serve.batching import Batcher, BusyError
from refeed.serve.engine import Engine
from refeed.serve.lines import Question
from refeed.serve.lineup import parse_models
from refeed.serve.metrics import Metrics
from refeed.training.fit import fit


@pytest.fixture(scope="module")
def other(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same films."""
    run = tmp_path_factory.mktemp("other") / "other"
    histories = Recommender.load(trained).histories
    fit(histories, None, load_recipe("default", ["train.steps=3", "model.width=4", "train.ensemble=2"]), run)
    return run


def question(engine: Engine, seed: int, length: int) -> Question:
    generator = np.random.default_rng(seed)
    items = generator.choice(len(engine.loaded.items.ids), length, replace=False)
    values = (generator.integers(1, 11, length) / 2).astype(np.float32)
    return Question(items, values, k=1 + seed % 12, reasons=seed % 4 - 1)


@pytest.mark.parametrize("which", ["one", "ensemble"])
def test_a_batch_is_answered_as_each_alone(trained: Path, other: Path, which: str) -> None:
    engine = Engine.load("a", trained if which == "one" else other)
    questions = [
        question(engine, seed, length) for seed, length in enumerate([0, 1, 5, 290, 40, 3, 100, 0, 17])
    ]
    together = engine.answer(questions)
    for asked, answer in zip(questions, together, strict=True):
        (alone,) = engine.answer([asked])
        assert [line["item"] for line in answer.lines] == [line["item"] for line in alone.lines]
        for one, two in zip(answer.lines, alone.lines, strict=True):
            assert one["rating"] == pytest.approx(two["rating"], abs=1e-4)
            assert [reason["item"] for reason in one["because"]] == [
                reason["item"] for reason in two["because"]
            ]


def test_an_ensembles_parts_add_up(other: Path) -> None:
    engine = Engine.load("a", other)
    (answer,) = engine.answer([Question(*rated(engine), k=5, reasons=-1)])
    for line in answer.lines:
        assert line["level"] is not None
        total = line["level"] + sum(reason["adds"] for reason in line["because"])
        assert min(max(total, 0.5), 5) == pytest.approx(line["rating"], abs=1e-4)


def rated(engine: Engine) -> tuple[Any, Any]:
    return question(engine, 1, 30).items, question(engine, 1, 30).values


def test_what_waits_becomes_one_batch(trained: Path) -> None:
    engine, metrics = Engine.load("a", trained), Metrics()
    batcher = Batcher(metrics)

    async def ask() -> None:
        await batcher.ask(engine, [question(engine, seed, 5) for seed in range(50)])

    asyncio.run(ask())
    batcher.close()
    text = metrics.text(0).decode()
    assert 'refeed_batch_size_sum{model="a"} 50.0' in text
    assert 'refeed_batch_size_count{model="a"} 1.0' in text


def test_a_fault_reaches_those_who_asked_and_nobody_else(trained: Path) -> None:
    engine = Engine.load("a", trained)
    batcher = Batcher(Metrics(), bound=3)
    bad = Question(np.array([10**6]), np.array([4.0], dtype=np.float32), k=1)

    async def ask() -> int:
        with pytest.raises(IndexError):
            await batcher.ask(engine, [bad])
        with pytest.raises(BusyError):
            await batcher.ask(engine, [question(engine, 0, 2)] * 4)
        return len(await batcher.ask(engine, [question(engine, 0, 2)]))

    assert asyncio.run(ask()) == 1
    batcher.close()


def test_a_swap_under_load_neither_fails_nor_mixes(
    live: Callable[..., str], run: Path, trained: Path, other: Path
) -> None:
    address = live()
    body = json.dumps({"history": {"318": 5, "296": 1}, "k": 5}).encode()

    def ask() -> tuple[str, str]:
        request = urllib.request.Request(
            f"{address}/v1/recommend", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            found = json.load(answer)
        model = found.pop("model")
        return model, json.dumps([(line["item"], round(line["rating"], 3)) for line in found["items"]])

    answers: list[tuple[str, str]] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answers.append(ask())

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(4):
        shutil.rmtree(run)
        shutil.copytree(other if number % 2 == 0 else trained, run)
        request = urllib.request.Request(
            f"{address}/v1/model", b"{}", {"Content-Type": "application/json"}, method="PUT"
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            model = json.load(answer)["model"]
        assert ask()[0] == model
    done.set()
    for thread in threads:
        thread.join()
    each: dict[str, set[str]] = {}
    for model, lines in answers:
        each.setdefault(model, set()).add(lines)
    assert len(each) == 2
    assert all(len(lines) == 1 for lines in each.values())  # every answer is wholly of the model it names


def test_a_model_that_does_not_fold_in_is_not_served(trained: Path, tmp_path: Path) -> None:
    histories = Recommender.load(trained).histories
    fit(histories, None, load_recipe("i-autorec", ["train.epochs=1"]), tmp_path / "items")
    with pytest.raises(ModelError, match="folds in"):
        Engine.load("a", tmp_path / "items")


def test_other_kinds_are_served_without_what_they_cannot_say(
    serving: Callable[..., TestClient], trained: Path, tmp_path: Path
) -> None:
    from refeed.serve.lineup import Place  # noqa: PLC0415

    fit(Recommender.load(trained).histories, None, load_recipe("bias", []), tmp_path / "bias")
    client = serving(places=[Place("main", tmp_path / "bias", 1.0)])
    (line,) = client.post("/v1/recommend", json={"history": {"318": 5}, "k": 1}).json()["items"]
    assert line["because"] == []
    assert 0.5 <= line["rating"] <= 5
    assert client.get("/v1/items/318/similar").status_code == 422
    assert "For you" in client.get("/").text
    assert client.get("/page/report?name=main").status_code == 200


@pytest.mark.parametrize(
    ("models", "shares"),
    [
        (["a=x"], {"a": 1.0}),
        (["a=x", "b=y:0.1"], {"a": 0.9, "b": 0.1}),
        (["a=x:0.5", "b=y:0.5"], {"a": 0.5, "b": 0.5}),
        (["a=C:/x", "b=y:0.25"], {"a": 0.75, "b": 0.25}),
    ],
)
def test_models_are_named_with_their_shares(models: list[str], shares: dict[str, float]) -> None:
    assert {place.name: pytest.approx(place.share) for place in parse_models(None, models)} == shares


@pytest.mark.parametrize(
    "models", [[], ["x"], ["a=x", "a=y"], ["a=x:0.5"], ["a=x:0.9", "b=y:0.9"], ["a=x:1", "b=y"], ["a b=x"]]
)
def test_models_that_make_no_sense_are_refused(models: list[str]) -> None:
    with pytest.raises(ConfigError):
        parse_models(None, models)


def test_the_command_serves_reloads_and_drains(run: Path, other: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "REFEED_PORT": "0", "REFEED_DATABASE": str(tmp_path / "x.sqlite")}
    server = subprocess.Popen(
        [sys.executable, "-m", "refeed", "serve", run], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        address = server.stderr.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        before = served_model(address)
        line = json.loads(server.stderr.readline())
        assert (line["route"], line["status"]) == ("/v1/model", 200)
        shutil.rmtree(run)
        shutil.copytree(other, run)
        server.send_signal(signal.SIGHUP)
        assert "the models were loaded again" in server.stderr.readline()
        assert served_model(address) != before
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) in {0, -signal.SIGTERM, 143}
    finally:
        server.kill()
        server.communicate()
    assert not (tmp_path / "x.sqlite-wal").exists()


def served_model(address: str) -> str:
    with urllib.request.urlopen(f"{address}/v1/model", timeout=120) as answer:
        return str(json.load(answer)["models"]["main"]["model"])
