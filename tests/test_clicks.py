"""Interactions without ratings through the command line: clicks from a table to lists."""

import json
from pathlib import Path

import numpy as np
import pytest

from refeed.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three groups of people who take the things of their own group alone."""
    folder, rng = tmp_path_factory.mktemp("clicks"), np.random.default_rng(0)
    rows = [
        f"u{user},i{10 * (user % 3) + item}"
        for user in range(60)
        for item in rng.choice(10, 6, replace=False).tolist()
    ]
    (folder / "clicks.csv").write_text("user,item\n" + "\n".join(rows) + "\n", encoding="utf-8")
    for words in (
        ["prepare", "clicks.csv", "--out", "store"],
        ["split", "store", "--random", "0.2", "--out", "parts"],
        ["train", "parts/train", "--valid", "parts/valid", "--out", "run"],
    ):
        places = [str(folder / word) if word.partition("/")[0] in _NAMES else word for word in words]
        assert main(places) == 0, words
    return folder


_NAMES = {"clicks.csv", "store", "parts", "run"}


def test_prepare_says_that_these_are_interactions(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(run / "clicks.csv"), "--out", str(run / "again")]) == 0
    said = capsys.readouterr().out
    assert "interactions" in said
    assert "no column of ratings" in said


@pytest.mark.parametrize("given", [["i1", "i2"], ["i1=1", "i2=3"]])
def test_somebody_new_gets_things_of_their_own_group(
    run: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rates = [word for item in given for word in ("--rate", item)]
    assert main(["recommend", str(run / "run"), *rates, "-k", "5", "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)["recommendations"]
    assert len(lines) == 5
    assert {int(line["item"].removeprefix("i")) // 10 for line in lines} == {0}
    assert {line["rating"] for line in lines} == {None}


def test_a_history_is_a_table_of_items(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "history.csv").write_text("item\ni21\ni22\n", encoding="utf-8")
    words = ["recommend", str(run / "run"), "--history", str(run / "history.csv"), "-k", "4", "--json"]
    assert main(words) == 0
    lines = json.loads(capsys.readouterr().out)["recommendations"]
    assert all(line["item"].startswith("i2") for line in lines)


def test_lists_are_measured_and_errors_of_ratings_are_not(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(run / "run"), str(run / "parts" / "test")]
    assert main([*words, "--ranking", "--json"]) == 0
    assert "ndcg" in capsys.readouterr().out
    assert main(words) == 2
    assert "interactions without ratings" in capsys.readouterr().err


def test_why_something_is_listed_adds_up(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(run / "run"), "i5", "--user", "u0", "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)["taken"]
    total = taken["everybody"] + sum(part["adds"] for part in taken["parts"])
    assert taken["score"] == pytest.approx(total, abs=1e-6)
