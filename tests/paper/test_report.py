"""`refeed paper` from the command line: what it writes, and what it refuses."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from refeed.cli import main
from refeed.paper.published import WINDOWS
from refeed.paper.report import EXPERIMENTS, make_report
from refeed.ratings.simulate import simulate, simulate_ratings
from refeed.ratings.store import Ratings


def simulated(folder: Path) -> Path:
    store = folder / "store"
    simulate_ratings(users=300, items=40, ratings=5_000, seed=1).save(store)
    return store


def test_one_table_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, out = simulated(tmp_path), tmp_path / "out"
    assert main(["paper", "table1", "--data", str(store), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.rstrip() == (out / "table1.md").read_text("utf-8").rstrip()
    assert "reading store" in printed.err
    numbers = json.loads((out / "table1.json").read_text("utf-8"))["numbers"]
    assert list(numbers) == ["3m", "6m", "1y", "full"]
    last_month = numbers["full"]["test_ratings"]
    assert 0 < last_month < numbers["full"]["train_ratings"] < 5_000
    assert {path.name for path in out.iterdir()} == {"data", "table1.json", "table1.md", "table1.png"}


def test_table_1_works_on_a_folder_of_netflix_and_is_bound_to_nothing_else(tmp_path: Path) -> None:
    simulate(tmp_path / "netflix", users=300, items=40, ratings=5_000, format="netflix")
    report = make_report("table1", tmp_path / "netflix", tmp_path / "out", say=lambda _: None)
    assert report.sections[0].numbers["full"]["train_ratings"] > 4_000


def test_table_1_of_real_netflix_files_names_every_difference(tmp_path: Path, shared: Path) -> None:
    files = shared / "data/netflix-samples"
    if not files.is_dir():
        pytest.skip("needs sample files of the Netflix Prize beside the checkout")
    (section,) = make_report("table1", files, tmp_path / "out", say=lambda _: None).sections
    full = section.numbers["full"]
    assert full["train_items"] == 11
    assert full["train_ratings"] + full["test_ratings"] < 28_223
    published = WINDOWS["full"].train_ratings
    words = f"full: training, ratings: {full['train_ratings']:,}, published are {published:,}."
    assert words in section.notes
    assert section.claims[0].verdict == "does not hold"


def test_the_experiments_are_those_of_the_paper_in_its_order() -> None:
    figures = ["table1", "figure2", "figure3", "table2", "figure4", "figure5", "table3", "table4"]
    assert list(EXPERIMENTS) == figures


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "2m"], "there is no window '2m' in these ratings; there are 3m, 6m, 1y, full"),
        (["--seeds", "0"], "--seeds is 0; give a whole number from 1 on"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--jobs", "-1"], "--jobs is -1"),
        (["--scale", "2"], "--scale is 2.0; give a share of the users"),
    ],
)
def test_options_out_of_range_are_mistakes(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["paper", "table2", "--data", str(simulated(tmp_path)), "--out", str(tmp_path / "out")]
    assert main([*words, *options]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert not printed.out


def test_ratings_without_times_and_unknown_experiments_are_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "timeless"
    replace(Ratings.load(simulated(tmp_path)), times=None).save(store)
    assert main(["paper", "table2", "--data", str(store), "--out", str(tmp_path / "out")]) == 2
    assert "give a timestamp column, or a folder with train, valid and test" in capsys.readouterr().err
    assert main(["paper", "table9", "--data", str(store), "--out", str(tmp_path / "out")]) == 2


def test_ratings_too_few_to_test_on_are_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "few.csv"
    table.write_text("user,item,rating,timestamp\na,x,1,10\nb,y,2,20\nc,z,3,30\n", encoding="utf-8")
    assert main(["paper", "table4", "--data", str(table), "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err
    assert "window full is left out" in printed
    assert "none of the windows holds enough ratings" in printed


def test_without_matplotlib_it_says_so_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as Python marks a module it can't import
    words = ["paper", "table2", "--data", str(simulated(tmp_path)), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "pip install 'refeed[plot]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_experiments_make_one_page(tmp_path: Path) -> None:
    report = make_report(
        "all",
        simulated(tmp_path),
        tmp_path / "out",
        windows=["full"],
        epochs=2,
        say=lambda _: None,
    )
    assert report.page == tmp_path / "out/report.html"
    assert not report.failed
    text = report.page.read_text("utf-8")
    assert "refeed paper all --data store --window full --epochs 2 --out out" in text
    assert str(tmp_path) not in text
    for name in EXPERIMENTS:
        assert {f"{name}.json", f"{name}.md", f"{name}.png"} <= {
            path.name for path in (tmp_path / "out").iterdir()
        }
