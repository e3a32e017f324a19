"""The examples say what the recommender says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refeed.config import load_recipe
from refeed.export.write import export_onnx
from refeed.inference.recommender import Recommender
from refeed.ratings.sample import load_sample
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RATED = {"Toy Story (1995)": 5.0, "Heat (1995)": 1.5, "Seven (a.k.a. Se7en) (1995)": 4.0}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recommender]:
    """A model of some of the sample's ratings, and the folder that it was exported to."""
    sample, folder = load_sample(), tmp_path_factory.mktemp("example")
    few = sample.select(sample.users < 80).compact()
    fit(few, None, load_recipe("default", ["train.steps=3", "model.width=8"]), folder / "run")
    trained = TrainedModel.load(folder / "run")
    export_onnx(trained, folder / "onnx")
    return folder / "onnx", Recommender(trained)


def expected(recommender: Recommender) -> list[str]:
    lines = recommender.recommend(RATED, 10)
    return [f"{line.rating:.2f}  {line.item}  {line.title}" for line in lines]


def said(*words: str | Path) -> list[str]:
    rated = [f"{title}={rating:g}" for title, rating in RATED.items()]
    done = subprocess.run(
        [*map(str, words), *rated],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_in_python_prints_the_recommenders_list(exported: tuple[Path, Recommender]) -> None:
    folder, recommender = exported
    assert said(sys.executable, EXAMPLES / "onnx_list.py", folder) == expected(recommender)


def test_the_example_in_javascript_prints_the_recommenders_list(exported: tuple[Path, Recommender]) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    if not (EXAMPLES / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("needs onnxruntime-web: run `npm install` in examples/")
    folder, recommender = exported
    assert said(node, EXAMPLES / "onnx_list.mjs", folder) == expected(recommender)


def test_the_examples_are_short() -> None:
    for name in ("onnx_list.py", "onnx_list.mjs"):
        assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 36
