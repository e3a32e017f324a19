"""Learning curves as a picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

from refeed.errors import ModelError, UserError
from refeed.plots import learning_curves


def write_run(folder: Path, rmse: list[tuple[float, float | None]]) -> Path:
    folder.mkdir()
    lines = [
        {"epoch": epoch, "train_rmse": train, "valid_rmse": valid}
        for epoch, (train, valid) in enumerate(rmse, start=1)
    ]
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    return folder


def test_each_run_has_a_panel(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [(1.0, 1.1), (0.9, 1.0), (0.8, 1.05)])
    learning_curves({"one": run}, tmp_path / "one.png")
    learning_curves({"one": run, "another": run}, tmp_path / "two.png", level=("bias", 0.95))
    assert imread(tmp_path / "two.png").shape[1] > 1.7 * imread(tmp_path / "one.png").shape[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "run", "two.png"]


def test_other_errors_make_another_picture_and_the_same_ones_the_same(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [(1.0, 1.1), (0.9, 1.0)])
    other = write_run(tmp_path / "other", [(1.0, 1.1), (0.9, 1.05)])
    for name, folder in (("a", run), ("b", run), ("c", other)):
        learning_curves({"run": folder}, tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_a_training_without_validation_is_drawn_too(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [(1.0, None), (0.9, None)])
    learning_curves({"run": run}, tmp_path / "curves.png")
    assert imread(tmp_path / "curves.png").std() > 0


def test_a_run_without_a_finished_epoch_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"metrics\.jsonl is missing"):
        learning_curves({"run": tmp_path}, tmp_path / "curves.png")


@pytest.mark.parametrize("text", ["", "{}\n", "[1]\n", '{"epoch": 1'])
def test_damaged_metrics_are_a_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        learning_curves({"run": tmp_path}, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_no_run_at_all_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no run to draw"):
        learning_curves({}, tmp_path / "curves.png")


def test_without_matplotlib_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", [(1.0, 1.1)])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as Python marks a module it can't import
    with pytest.raises(UserError, match=r"pip install 'refeed\[plot\]'"):
        learning_curves({"run": run}, tmp_path / "curves.png")


def test_importing_the_module_does_not_import_matplotlib() -> None:
    program = "import sys, refeed.plots; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
