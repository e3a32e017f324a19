"""What is installed: one wheel a platform, with a library that Python's version doesn't matter to."""

import ast
import logging
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from refeed.config import BiasConfig, Config
from refeed.doctor import environment
from refeed.kernels import kernels
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(
    find_spec("setuptools") is None or find_spec("pip") is None, reason="nothing to build with"
)
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_wheel_is_for_every_python_of_a_platform_and_bundles_no_second_openmp(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("*.so", "*.egg-info"))
    words: list[str | Path] = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        tmp_path,
        copy,
    ]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert re.fullmatch(r"refeed-[\d.]+-py3-none-(linux|macosx)_\w+\.whl", wheel.name)
    libraries = [name for name in zipfile.ZipFile(wheel).namelist() if re.search(r"\.(so|dylib|dll)", name)]
    assert libraries == ["refeed/kernels/_native.so"]


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    rooms = ROOT / "src" / "refeed"
    optional = (rooms / "serve", rooms / "export")  # of the extras of these names, and imported only by them
    paths = [path for path in rooms.rglob("*.py") if not any(room in path.parents for room in optional)]
    at_the_top = [node for path in paths for node in ast.parse(path.read_text()).body]
    modules = [alias.name for node in at_the_top if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in at_the_top if isinstance(node, ast.ImportFrom)]
    top = {name.split(".")[0] for name in modules}
    assert top - sys.stdlib_module_names - {"refeed"} - declared <= {"matplotlib"}  # of the extra `plot`


def test_the_doctor_says_how_the_kernels_run() -> None:
    said = str(environment()["kernels"])
    assert said.startswith("absent" if kernels() is None else "compiled")


def test_training_as_a_library_logs_under_the_name_refeed(caplog: pytest.LogCaptureFixture) -> None:
    ratings = Ratings.from_arrays(
        np.array([0, 0, 1, 1]),
        np.array([0, 1, 0, 1]),
        np.array([1.0, 2.0, 3.0, 5.0]),
        user_ids=Ids(["a", "b"]),
        item_ids=Ids(["x", "y"]),
    )
    with caplog.at_level(logging.INFO, logger="refeed"):
        fit(ratings, None, Config(model=BiasConfig()))
    assert any(record.name == "refeed" and "train RMSE" in record.message for record in caplog.records)
