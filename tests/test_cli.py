"""The command line: in this process, and a few times as a process of its own."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest

from refeed.cli import main
from refeed.config import load_recipe
from refeed.inference.recommender import Recommender
from refeed.ratings.sample import load_sample
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

Refeed = Callable[..., tuple[int, str, str]]
VERBS = (
    "prepare",
    "split",
    "train",
    "evaluate",
    "predict",
    "recommend",
    "explain",
    "score",
    "export",
    "serve",
    "retrain",
    "simulate",
    "paper",
    "doctor",
)


@pytest.fixture
def refeed(capfd: pytest.CaptureFixture[str]) -> Refeed:
    """Run a command here: (exit code, stdout, stderr)."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return run


def process(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "refeed", *map(str, words)], capture_output=True, text=True, check=False
    )


def write_table(path: Path, users: int = 40) -> Path:
    """The ratings of the first users of MovieLens latest-small, as a CSV."""
    sample = load_sample()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating", "timestamp"])
        assert sample.times is not None
        for at in range(int(sample.indptr[users])):
            user, item = sample.user_ids[int(sample.users[at])], sample.item_ids[int(sample.items[at])]
            writer.writerow([f"u{user}", item, sample.values[at], sample.times[at]])
    return path


def write_titles(path: Path) -> Path:
    sample = load_sample()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "title"])
        writer.writerows(zip(sample.item_ids, sample.titles or (), strict=True))
    return path


@pytest.fixture(scope="module")
def bias(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ratings.csv, a store and a bias model trained on it (run); for reading only."""
    folder = tmp_path_factory.mktemp("bias")
    table, titles = write_table(folder / "ratings.csv"), write_titles(folder / "titles.csv")
    assert main(["prepare", str(table), "--titles", str(titles), "--out", str(folder / "store")]) == 0
    fit(Ratings.load(folder / "store"), None, load_recipe("bias"), folder / "run")
    return folder


def test_from_a_table_to_recommendations(refeed: Refeed, tmp_path: Path) -> None:
    table, titles = write_table(tmp_path / "ratings.csv"), write_titles(tmp_path / "titles.csv")

    code, out, _ = refeed("prepare", table, "--titles", titles, "--out", tmp_path / "store")
    assert code == 0
    ratings = Ratings.load(tmp_path / "store")
    assert f"{len(ratings):,}" in out
    assert "40 users" in out

    code, out, _ = refeed(
        "split", tmp_path / "store", "--out", tmp_path / "split", "--last", "0.2", "--seed", "1"
    )
    assert code == 0
    parts = {name: Ratings.load(tmp_path / "split" / name) for name in ("train", "valid", "test")}
    assert all(f"{len(part):,} ratings" in out for part in parts.values())

    code, out, err = refeed(
        "train",
        tmp_path / "split/train",
        "--valid",
        tmp_path / "split/valid",
        "--out",
        tmp_path / "run",
        "--recipe",
        "simple",
        "--set",
        "model.encoder=[8]",
        "--set",
        "train.epochs=2",
        "--seed",
        "7",
    )
    assert (code, out) == (0, "")
    assert "epoch 2" in err
    config = (tmp_path / "run/config.toml").read_text()
    assert "encoder = [8]" in config
    assert "seed = 7" in config
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2

    code, out, err = refeed("evaluate", tmp_path / "run", tmp_path / "split/test", "--json")
    assert (code, err) == (0, "")
    evaluation = json.loads(out)
    assert evaluation["ratings"] == len(parts["test"])
    assert 0.6 < evaluation["rmse"]["value"] < 1.3

    code, out, err = refeed(
        "predict", tmp_path / "run", tmp_path / "ratings.csv", "--out", tmp_path / "predictions.csv"
    )
    assert (code, out) == (0, "")
    assert f"{len(ratings):,} pairs predicted" in err
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(ratings)

    code, out, err = refeed("recommend", tmp_path / "run", "--user", "u4", "-k", "3", "--json")
    assert (code, err) == (0, "")
    lines = json.loads(out)["recommendations"]
    recommender = Recommender.load(tmp_path / "run")
    assert [line["item"] for line in lines] == [line.item for line in recommender.recommend("u4", 3)]


@pytest.mark.parametrize(
    "how", [["--at", "2000-01-01", "--train-from", "1996-01-01"], ["--random", "0.3"], []]
)
def test_every_way_to_split_writes_three_stores(refeed: Refeed, tmp_path: Path, how: list[str]) -> None:
    table = write_table(tmp_path / "ratings.csv", users=200)
    code, out, _ = refeed("split", table, "--out", tmp_path / "split", "--valid", "0.25", *how)
    assert code == 0
    sizes = {name: len(Ratings.load(tmp_path / "split" / name)) for name in ("train", "valid", "test")}
    assert all(f"{size:,} ratings" in out for size in sizes.values())
    assert 0 < sizes["valid"] < sizes["test"] < sizes["train"]


def test_ways_to_split_exclude_each_other(refeed: Refeed, tmp_path: Path) -> None:
    code, _, err = refeed("split", "x.csv", "--out", tmp_path / "s", "--last", "0.2", "--random", "0.1")
    assert (code, err) == (2, "refeed: error: --last and --random exclude each other; give one of them\n")
    code, _, err = refeed(
        "split", "x.csv", "--out", tmp_path / "s", "--last", "0.2", "--test-to", "2000-01-01"
    )
    assert code == 2
    assert "go with --at DATE" in err


def test_options_of_prepare_arrive(refeed: Refeed, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a;b;c\nx;i;3\nx;j;bad\ny;i;4\n", encoding="utf-8")
    words = ["prepare", table, "--out", tmp_path / "store", "--columns", "user=1,item=b,rating=c"]
    code, _, err = refeed(*words)
    assert code == 2
    assert "'bad'" in err
    code, out, _ = refeed(*words, "--skip-bad", "--format", "table", "--memory", "500MB")
    assert code == 0
    assert str(tmp_path / "store.bad.csv") in out
    assert len(Ratings.load(tmp_path / "store")) == 2
    assert refeed("prepare", table, "--out", tmp_path / "other", "--format", "nonsense")[0] == 2


def test_an_evaluation_against_another_run_says_the_difference(
    refeed: Refeed, bias: Path, tmp_path: Path
) -> None:
    run, test = bias / "run", bias / "ratings.csv"
    assert refeed("train", bias / "store", "--out", tmp_path / "mean", "--recipe", "mean")[0] == 0
    code, out, _ = refeed("evaluate", run, test, "--against", tmp_path / "mean", "--json")
    assert code == 0
    both = json.loads(out)
    assert both["difference"]["rmse"]["value"] == pytest.approx(
        both["rmse"]["value"] - both["against"]["rmse"]["value"]
    )
    code, out, _ = refeed("evaluate", run, test, "--against", tmp_path / "mean")
    assert code == 0
    assert "one − other" in out
    code, alone, _ = refeed("evaluate", run, test)
    assert code == 0
    assert alone.strip() in out


def test_lists_are_measured_and_compared(refeed: Refeed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "ratings.csv", users=200)
    assert refeed("split", table, "--out", tmp_path / "split", "--random", "0.3")[0] == 0
    for recipe in ("bias", "mean"):
        words = ("train", tmp_path / "split/train", "--out", tmp_path / recipe, "--recipe", recipe)
        assert refeed(*words)[0] == 0
    one, other, test = tmp_path / "bias", tmp_path / "mean", tmp_path / "split/test"
    options = ("--ranking", "--k", "2", "5", "--liked", "4", "--seen", tmp_path / "split/valid", "--json")
    code, out, _ = refeed("evaluate", one, test, "--against", other, *options)
    assert code == 0
    both = json.loads(out)
    assert both["ks"] == [2, 5]
    assert (both["liked"], both["seen_elsewhere"] > 0) == (4.0, True)
    assert both["difference"]["ndcg@5"]["value"] == pytest.approx(
        both["ndcg@5"]["value"] - both["against"]["ndcg@5"]["value"], abs=1e-6
    )
    code, out, _ = refeed("evaluate", "--ranking", "--k", "2", "5", one, test)
    assert code == 0
    assert "@2" in out
    assert "all held-out items" in out
    code, _, err = refeed("evaluate", one, test, "--liked", "4")
    assert code == 2
    assert "go with --ranking" in err


def test_people_held_out_whole_are_folded_in(refeed: Refeed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "ratings.csv", users=200)
    out = tmp_path / "split"
    assert refeed("split", table, "--out", out, "--users", "0.3", "--given", "0.5")[0] == 0
    assert refeed("train", out / "train", "--out", tmp_path / "run", "--recipe", "bias")[0] == 0
    words = ("evaluate", tmp_path / "run", out / "test", "--ranking", "--given", out / "test-given", "--json")
    code, printed, _ = refeed(*words)
    assert code == 0
    assert json.loads(printed)["users"] == Ratings.load(out / "test").n_users
    code, _, err = refeed("split", table, "--out", tmp_path / "s", "--given", "0.5")
    assert code == 2
    assert "--given goes with --users" in err


def test_recommending_by_ratings_and_by_a_history_agree(refeed: Refeed, bias: Path, tmp_path: Path) -> None:
    run = bias / "run"
    (tmp_path / "mine.csv").write_text('item,rating\n"Heat (1995)",2\n1,5\n', encoding="utf-8")
    by_table = refeed("recommend", run, "--history", tmp_path / "mine.csv")
    by_hand = refeed("recommend", run, "--rate", "heat (1995)=2", "--rate", "Toy Story (1995)=5")
    assert by_table == by_hand
    code, out, _ = by_hand
    assert code == 0
    header, *lines = out.splitlines()
    assert header.split() == ["predicted", "ratings", "item", "title"]
    expected = Recommender.load(run).recommend({"1": 5, "Heat (1995)": 2})
    assert len(lines) == len(expected) == 10
    for place, (line, item) in enumerate(zip(lines, expected, strict=True), start=1):
        assert line.split()[:4] == [str(place), f"{item.rating:.2f}", str(item.support), item.item]
        assert line.endswith(item.title or "no title")


def test_filters_of_recommend_arrive(refeed: Refeed, bias: Path) -> None:
    run = bias / "run"

    def items(*words: str) -> set[str]:
        code, out, err = refeed("recommend", run, "--rate", "1=5", "--json", *words)
        assert (code, err) == (0, "")
        return {line["item"] for line in json.loads(out)["recommendations"]}

    assert items("--only", "1", "--only", "heat (1995)", "--only", "50") == {"6", "50"}
    assert items("--only", "1", "--only", "6", "--include-seen") == {"1", "6"}
    assert items("--only", "50", "--only", "6", "--exclude", "50") == {"6"}
    assert len(items("-k", "4")) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give one of --user, --rate, --history"),
        (["--user", "u1", "--rate", "1=5"], "--user and --rate exclude each other"),
        (["--user", "nobody"], "unknown user 'nobody'"),
        (["--rate", "Haet (1995)=5"], "close to it: 'Heat (1995)' (id '6')"),
        (["--rate", "1=6"], "off the scale of the training ratings, 0.5 to 5"),
        (["--rate", "1"], "not of the form ITEM=VALUE"),
        (["--user", "u1", "-k", "0"], "a list has at least one item"),
        (["--history", "none.csv"], "there is no such file"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    refeed: Refeed, bias: Path, words: list[str], message: str
) -> None:
    code, out, err = refeed("recommend", bias / "run", *words)
    assert (code, out) == (2, "")
    assert err.startswith("refeed: error: ")
    assert message in err


def test_unknown_pairs_are_counted_and_left_empty(refeed: Refeed, bias: Path, tmp_path: Path) -> None:
    run = bias / "run"
    (tmp_path / "pairs.csv").write_text("user,item\nu1,1\nnobody,1\nu1,nothing\n", encoding="utf-8")
    code, out, err = refeed("predict", run, tmp_path / "pairs.csv", "--out", tmp_path / "out.parquet")
    assert (code, out) == (0, "")
    assert err.startswith("1 of 3 pairs predicted; 2 are left empty")
    assert "row 2: user 'nobody'; row 3: item 'nothing'" in err
    with duckdb.connect() as db:
        rows = db.execute(f"SELECT prediction FROM '{tmp_path}/out.parquet'").fetchall()
    assert rows == [(pytest.approx(Recommender.load(run).predict("u1", "1")),), (None,), (None,)]


def test_a_run_is_not_trained_over(refeed: Refeed, bias: Path) -> None:
    run = bias / "run"
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    code, _, err = refeed("train", bias / "store", "--out", run)
    assert code == 2
    assert "exists already" in err
    assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before


def test_resume_takes_the_recipe_that_the_training_started_with(refeed: Refeed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "ratings.csv")
    words = ["train", table, "--out", tmp_path / "run"]
    settings = ["--recipe", "simple", "--set", "model.encoder=[4]", "--set", "train.epochs=2"]
    assert refeed(*words, *settings)[0] == 0
    weights = (tmp_path / "run/model.safetensors").read_bytes()
    code, _, err = refeed(*words, "--resume")
    assert (code, "error" in err) == (0, False)
    assert (tmp_path / "run/model.safetensors").read_bytes() == weights
    code, _, err = refeed(*words, "--resume", "--recipe", "mean")
    assert code == 2


def test_resuming_where_nothing_has_begun_starts_anew_and_says_so(refeed: Refeed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "ratings.csv")
    code, _, err = refeed("train", table, "--out", tmp_path / "run", "--recipe", "mean", "--resume")
    assert code == 0
    assert "nothing to resume" in err
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_a_recipe_may_be_a_file(refeed: Refeed, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[model]\nkind = "bias"\ndamping = [9.0, 4.0]\n', encoding="utf-8")
    table = write_table(tmp_path / "ratings.csv")
    assert refeed("train", table, "--out", tmp_path / "run", "--recipe", tmp_path / "mine.toml")[0] == 0
    assert "damping = [9.0, 4.0]" in (tmp_path / "run/config.toml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "nonsense"], "neither a file nor one of the recipes"),
        (["--set", "train.lr"], "not of the form section.key=value"),
        (["--set", "train.nonsense=1"], "train.nonsense: there is no such key"),
    ],
)
def test_a_wrong_setting_is_refused_before_the_ratings_are_read(
    refeed: Refeed, tmp_path: Path, words: list[str], message: str
) -> None:
    code, _, err = refeed("train", tmp_path / "none.csv", "--out", tmp_path / "run", *words)
    assert code == 2
    assert message in err
    assert not (tmp_path / "run").exists()


def test_rows_left_out_of_a_table_are_reported(refeed: Refeed, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("user,item,rating\na,x,3\na,x,4\nb,y,5\nb,x,1\n", encoding="utf-8")
    code, _, err = refeed("train", table, "--out", tmp_path / "run", "--recipe", "mean")
    assert code == 0
    assert "1 rows left out, as a later one rates the same item" in err


def test_without_its_histories_a_model_says_what_it_can_not_do(
    refeed: Refeed, bias: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(bias / "run", tmp_path / "run", ignore=shutil.ignore_patterns("history"))
    for words in (["recommend", run, "--user", "u1"], ["evaluate", run, bias / "ratings.csv"]):
        code, _, err = refeed(*words)
        assert code == 2
        assert "histories of the training users have been removed" in err
    assert refeed("recommend", run, "--rate", "1=5")[0] == 0


def test_what_is_no_model_folder_is_a_mistake(refeed: Refeed, tmp_path: Path) -> None:
    code, out, err = refeed("recommend", tmp_path, "--user", "u1", "--json")
    assert (code, out) == (2, "")
    assert err.startswith("refeed: error: ")


def test_a_place_that_can_not_be_written_is_a_mistake(refeed: Refeed, bias: Path, tmp_path: Path) -> None:
    run = bias / "run"
    (tmp_path / "pairs.csv").write_text("user,item\nu1,1\n", encoding="utf-8")
    code, _, err = refeed("predict", run, tmp_path / "pairs.csv", "--out", tmp_path / "pairs.csv" / "x.csv")
    assert code == 2
    assert err.startswith("refeed: error: ")


def test_simulated_ratings_can_be_prepared(refeed: Refeed, tmp_path: Path) -> None:
    out = tmp_path / "simulated"
    size = ("--users", "90", "--items", "30", "--ratings", "900")
    code, printed, _ = refeed("simulate", "--out", out, *size, "--format", "netflix", "--seed", "7", "--json")
    assert code == 0
    assert json.loads(printed) == json.loads((out / "simulation.json").read_text(encoding="utf-8"))
    assert refeed("prepare", out, "--out", tmp_path / "store")[0] == 0
    assert len(Ratings.load(tmp_path / "store")) == 900
    code, _, err = refeed("simulate", "--out", out, *size)
    assert code == 2
    assert "exists already" in err


def test_the_doctor_prints_the_same_facts_both_ways(refeed: Refeed) -> None:
    code, out, err = refeed("doctor", "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["numpy"] == np.__version__
    assert facts["torch_threads"] >= 1
    _, table, _ = refeed("doctor")
    printed = dict(line.split(maxsplit=1) for line in table.splitlines())
    assert printed == {name: "none" if fact is None else str(fact) for name, fact in facts.items()}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(refeed: Refeed, verb: str) -> None:
    code, out, err = refeed(verb, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: refeed {verb}" in out


def test_the_verbs_are_those_that_are_built(refeed: Refeed) -> None:
    _, out, _ = refeed("--help")
    listed = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert listed == list(VERBS)


def test_no_verb_at_all_shows_the_help(refeed: Refeed) -> None:
    code, out, err = refeed()
    assert code == 2
    assert "Usage: refeed" in out + err


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["train"], ["train", "x", "--nonsense"], ["split", "x", "--out", "y", "--last", "z"]],
)
def test_a_wrong_word_exits_with_2(refeed: Refeed, words: list[str]) -> None:
    code, out, err = refeed(*words)
    assert (code, out) == (2, "")
    assert "Usage: refeed" in err


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    program = """
import sys
from refeed.cli import main
from refeed.config import load_recipe
code = main(["train", "--help"])
print({"torch", "duckdb", "numpy"} & set(sys.modules), code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nset() 0\n")


def test_a_process_prints_its_version() -> None:
    done = process("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("refeed 0.")


def test_a_process_ends_with_2_and_without_a_traceback(tmp_path: Path) -> None:
    done = process("evaluate", tmp_path / "nowhere", tmp_path / "none.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"refeed: error: {tmp_path}/none.csv: there is no such file or folder\n"


def test_json_of_a_process_is_all_there_is_on_stdout_whatever_the_locale(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,item,rating\nü,日本,3\nü,é,4\nb,日本,5\n", encoding="utf-8")
    assert process("train", tmp_path / "t.csv", "--out", tmp_path / "run", "--recipe", "bias").returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "refeed", "recommend", str(tmp_path / "run"), "--user", "b", "--json"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert [line["item"] for line in json.loads(done.stdout)["recommendations"]] == ["é"]


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGINT from another process")
def test_ctrl_c_ends_a_training_with_130_and_all_saved(tmp_path: Path) -> None:
    table, run = write_table(tmp_path / "ratings.csv"), tmp_path / "run"
    words = [sys.executable, "-m", "refeed", "train", str(table), "--out", str(run), "--recipe", "simple"]
    settings = ["--set", "model.encoder=[4]", "--set", "train.patience=0", "--set", "train.epochs="]
    endless = subprocess.Popen(
        [*words, *settings[:-1], settings[-1] + "100000"], stderr=subprocess.PIPE, text=True
    )
    try:
        state = run / "resume.pt"  # empty until the first checkpoint
        while not (state.exists() and state.stat().st_size):
            assert endless.poll() is None
            time.sleep(0.05)
        endless.send_signal(signal.SIGINT)
        _, err = endless.communicate(timeout=600)
    finally:
        endless.kill()
    assert endless.returncode == 130
    assert "Traceback" not in err
    done = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["epoch"]
    assert done >= 1
    assert Recommender.load(run).predict("u1").shape == (len(Recommender.load(run).item_ids),)


def test_the_default_recipe_is_the_ridge_autoencoder() -> None:
    assert load_recipe("default").model.kind == "ridge"


def test_a_place_that_cannot_be_written_is_named_without_a_traceback(refeed: Refeed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "ratings.csv", users=3)
    (tmp_path / "file").write_text("in the way")
    code, out, err = refeed("prepare", table, "--out", tmp_path / "file" / "store")
    assert (code, out) == (2, "")
    assert (
        err
        == f"refeed: error: {tmp_path / 'file'}: File exists; expected a path that can be read or written\n"
    )
    code, _, err = refeed("train", table, "--recipe", "bias", "--out", tmp_path / "file" / "run")
    assert code == 2
    assert f"{tmp_path / 'file'}: File exists" in err


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "--users", 10**13, "--items", 100, "--ratings", 10**13, "--out", "r.parquet"),
        ("train", "r.csv", "--out", "run", "--recipe", "simple", "--set", f"model.encoder=[{10**12}]"),
    ],
    ids=["numpy", "pytorch"],
)
def test_too_little_memory_is_said_in_one_line(
    words: tuple[object, ...], refeed: Refeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.csv").write_text("user,item,rating\na,x,1\na,y,2\nb,x,3\nb,y,5\n")
    code, out, err = refeed(*(str(word) for word in words))
    assert (code, out) == (2, "")
    assert "not enough memory: " in err.splitlines()[-1]
    assert "stop other programs" in err.splitlines()[-1]
    assert not Path("run").exists()
