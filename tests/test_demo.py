"""`make demo`, with networks that are trained for one epoch."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from refeed.evaluation.significance import Estimate

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def demo() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts/demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_demo_goes_the_whole_way_and_replaces_its_own_output(
    demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo-output"
    (out / "mean").mkdir(parents=True)
    (out / "mean/config.toml").write_text("of an earlier run", encoding="utf-8")
    (out / "stale.txt").touch()
    demo.main(out, epochs=1)
    lines = capsys.readouterr().out.splitlines()

    assert [path.name for path in tmp_path.iterdir()] == ["demo-output"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*demo.MODELS, "learning-curves.png"])
    assert imread(out / "learning-curves.png").std() > 0

    errors = {label: line for line in lines for label in demo.MODELS.values() if line.startswith(f"{label} ")}
    rmse = {label: float(line.removeprefix(label).split()[0]) for label, line in errors.items()}
    assert len(rmse) == 4
    assert rmse["damped user + item bias"] < rmse["mean of all ratings"] < rmse["the paper's recipe"]
    assert any("has 21 people on both" in line for line in lines)

    films = [line for line in lines if line[:1].isdigit() and line.endswith(")")]
    assert len(films) == 10
    assert not any(line.endswith(title) for title in demo.PERSON for line in films)


def test_a_verdict_needs_an_interval_on_one_side_of_zero(demo: Any) -> None:
    assert demo.verdict(Estimate(-0.2, -0.3, -0.1)) == "better"
    assert demo.verdict(Estimate(0.2, 0.1, 0.3)) == "worse"
    assert demo.verdict(Estimate(0.2, -0.1, 0.3)) == "no clear difference"
    assert demo.verdict(Estimate(0.2, None, None)) == "no clear difference"


def test_the_demo_writes_where_git_does_not_look(demo: Any) -> None:
    assert ROOT / "demo-output" == demo.OUT
    assert "demo-output/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
