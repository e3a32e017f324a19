"""Pictures of a training; they need matplotlib, which `pip install 'refeed[plot]'` brings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refeed.errors import ModelError, UserError
from refeed.files import atomic_file

__all__ = ["figure_class", "learning_curves"]

Metrics = list[dict[str, Any]]


def learning_curves(runs: Mapping[str, Path], out: Path, *, level: tuple[str, float] | None = None) -> None:
    """Draw the errors of every epoch, a panel for each run, on one scale.

    Args:
        runs: what to call each → its model folder.
        out: the PNG to write; a file that is there is replaced.
        level: what to call a horizontal line, and its RMSE: a baseline's on the validation ratings, say.

    Raises:
        UserError: matplotlib is not installed.
        ModelError: there is no run, or one has no finished epoch, or its metrics.jsonl is damaged.
    """
    make_figure = figure_class()
    if not runs:
        raise ModelError("there is no run to draw; give at least one model folder")
    metrics = {name: _read_metrics(run / "metrics.jsonl") for name, run in runs.items()}
    figure = make_figure(figsize=(4.5 * len(metrics) + 0.5, 3.6), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for panel, (name, lines) in zip(panels, metrics.items(), strict=True):
        _draw(panel, lines)
        if level is not None:
            panel.axhline(level[1], color="tab:gray", linestyle=":", label=level[0])
        panel.set(title=name, xlabel="epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(visible=True, alpha=0.3)
    panels[0].set(ylabel="RMSE", ylim=_limits(metrics.values()))
    panels[-1].legend()
    with atomic_file(out) as beside:
        figure.savefig(beside, format="png")


def figure_class() -> Any:
    """Matplotlib's Figure.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise UserError(
            "drawing needs matplotlib, which is not installed; install it by: pip install 'refeed[plot]'"
        ) from error
    return Figure  # by itself, without pyplot: no window, and no state that threads would share


def _read_metrics(path: Path) -> Metrics:
    if not path.is_file():
        raise ModelError(f"{path} is missing: no model folder, or its training has not finished an epoch yet")
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        finished = [line for line in lines if {"epoch", "train_rmse", "valid_rmse"} <= line.keys()]
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it, or train again") from error
    if not lines or len(finished) < len(lines):
        raise ModelError(f"{path} is damaged (an epoch is missing or incomplete); restore it, or train again")
    return lines


def _draw(panel: Any, lines: Metrics) -> None:
    epochs = [line["epoch"] for line in lines]
    panel.plot(epochs, [line["train_rmse"] for line in lines], color="tab:orange", label="training")
    scored = [(line["valid_rmse"], line["epoch"]) for line in lines if line["valid_rmse"] is not None]
    if not scored:
        return
    panel.plot(
        [epoch for _, epoch in scored], [rmse for rmse, _ in scored], color="tab:blue", label="validation"
    )
    rmse, epoch = min(scored)
    panel.plot(epoch, rmse, "o", color="tab:blue", label="best: the one that is kept")


def _limits(runs: Any) -> tuple[float, float]:
    """All errors but those of a start that is far off, which would flatten everything else."""
    errors = sorted(
        line[key]
        for lines in runs
        for line in lines
        for key in ("train_rmse", "valid_rmse")
        if line[key] is not None
    )
    lowest, middle, highest = errors[0], errors[len(errors) // 2], errors[-1]
    return 0.97 * lowest, min(1.03 * highest, 1.4 * middle)
