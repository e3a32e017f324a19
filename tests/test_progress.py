"""What training says: plain lines in a file, a bar with speed and time left on a terminal."""

import os
import pty
import re
import threading
from pathlib import Path

import pytest

from refeed.progress import Reporter, report_progress

METRICS: dict[str, int | float | None] = {
    "epoch": 1,
    "train_rmse": 0.91234,
    "valid_rmse": 0.95678,
    "seconds": 2.04,
    "users_per_second": 12345.6,
    "lr": 0.005,
}


def one_epoch(reporter: Reporter) -> None:
    reporter.say("1,000 ratings")
    reporter.start_epoch(0, 2, 0, 300)
    for _ in range(3):
        reporter.advance(100, 1.0)
    reporter.end_epoch(METRICS)


def test_elsewhere_than_on_a_terminal_there_is_one_plain_line_an_epoch(tmp_path: Path) -> None:
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        one_epoch(reporter)
    assert (tmp_path / "said.txt").read_text().splitlines() == [
        "1,000 ratings",
        "epoch 1  train RMSE 0.9123  valid RMSE 0.9568  2.0 s  12,346 users/s  lr 0.005",
    ]


def test_without_validation_the_line_says_nothing_of_it(tmp_path: Path) -> None:
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        reporter.end_epoch(METRICS | {"valid_rmse": None})
    assert "valid" not in (tmp_path / "said.txt").read_text()


def read_all(descriptor: int, into: list[bytes]) -> None:
    """What a terminal would show, until its other end is closed."""
    try:
        while part := os.read(descriptor, 4096):
            into.append(part)
    except OSError:  # how Linux says that the other end is closed
        pass


def test_on_a_terminal_there_is_a_bar_with_the_speed_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(ours, shown))
    reader.start()
    with os.fdopen(theirs, "w") as terminal, report_progress(terminal) as reporter:
        one_epoch(reporter)
    reader.join()
    os.close(ours)
    text = b"".join(shown).decode()
    assert "epoch 1/2" in text
    assert re.search(r"[\d,]+ users/s", text)
    assert re.search(r"\d+:\d\d:\d\d", text), "the time left"
    assert "epoch 1  train RMSE 0.9123" in text
