"""Interactions without ratings, from a table to lists on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from refeed.cli import main


def table(path: Path, rating: str | None) -> Path:
    """Two groups of people who take the even items alone, and the odd ones."""
    rng = np.random.default_rng(0)
    lines = ["user,item,rating,timestamp" if rating else "user,item,timestamp"]
    for user in range(40):
        own = range(user >= 20, 24, 2)
        for at, item in enumerate(rng.permutation(list(own))[:8].tolist()):
            lines.append(f"u{user},i{item},{rating},{at}" if rating else f"u{user},i{item},{at}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("rating", [None, "1", "4.5"], ids=["no ratings", "all 1", "all 4.5"])
def test_what_has_no_ratings_or_equal_ones_makes_lists_by_who_takes_what_up(
    rating: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, store, split, run = (tmp_path / name for name in ("table.csv", "store", "split", "run"))
    assert main(["prepare", str(table(source, rating)), "--out", str(store)]) == 0
    assert main(["split", str(store), "--out", str(split), "--last", "0.25"]) == 0
    train, valid, test = (str(split / name) for name in ("train", "valid", "test"))
    assert (
        main(["train", train, "--valid", valid, "--out", str(run), "--set", "interactions.kind=linear"]) == 0
    )
    capfd.readouterr()
    assert main(["recommend", str(run), "--user", "u3", "-k", "3", "--json"]) == 0
    printed = capfd.readouterr().out
    assert all(int(item) % 2 == 0 for item in _items(json.loads(printed)))
    assert main(["evaluate", str(run), test, "--ranking", "--json"]) == 0
    capfd.readouterr()
    assert main(["evaluate", str(run), test]) == 2
    assert "interactions without ratings" in capfd.readouterr().err


def _items(found: object) -> list[str]:
    """The numbers of the items of a list, wherever it lies in what was printed."""
    if isinstance(found, dict):
        own = [str(found["item"]).removeprefix("i")] if "item" in found else []
        return own + [item for value in found.values() for item in _items(value)]
    return [item for value in found for item in _items(value)] if isinstance(found, list) else []
