"""The look of the pictures, and the curves that several of them share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from refeed.paper.group import Group

__all__ = ["COLOURS", "GREY", "curves", "mean_curve", "panel_look", "sensible_limits"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#333333")
"""Okabe & Ito's, told apart by everybody."""

GREY = "#777777"


def panel_look(panel: Any, *, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Few lines, quiet ones."""
    panel.set_title(title, loc="left", fontsize=11)
    panel.set_xlabel(xlabel)
    panel.set_ylabel(ylabel)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(visible=True, alpha=0.25, linewidth=0.7)
    panel.set_axisbelow(True)


def mean_curve(group: Group, key: str) -> tuple[list[int], list[float], list[float], list[float]]:
    """An error by epoch over the seeds: epochs, mean, lowest, highest; diverged runs as far as they went."""
    by_epoch: dict[int, list[float]] = {}
    for result in group.results.values():
        for line in result.metrics:
            if line[key] is not None:
                by_epoch.setdefault(line["epoch"], []).append(line[key])
    values = list(by_epoch.values())
    return (
        list(by_epoch),
        [float(np.mean(v)) for v in values],
        [min(v) for v in values],
        [max(v) for v in values],
    )


def curves(panel: Any, groups: Mapping[str, Group], key: str, styles: Sequence[str] = ("-",)) -> None:
    """A line for each group, by epoch; a band from the lowest to the highest seed; a cross if it diverged."""
    for at, (label, group) in enumerate(groups.items()):
        colour, style = COLOURS[at // len(styles) % len(COLOURS)], styles[at % len(styles)]
        epochs, mean, low, high = mean_curve(group, key)
        panel.plot(epochs, mean, style, color=colour, label=label, linewidth=1.6)
        if len(group.results) > 1:
            panel.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
        if epochs and len(group.well) < len(group.results):
            panel.plot(epochs[-1], mean[-1], "x", color=colour, markersize=9, markeredgewidth=2)
    panel.xaxis.get_major_locator().set_params(integer=True)


def sensible_limits(panel: Any, values: Iterable[float]) -> None:
    """Leave out a start that is far off, which would flatten everything else."""
    finite = sorted(value for value in values if np.isfinite(value))
    if finite:
        low, middle, high = finite[0], finite[len(finite) // 2], finite[-1]
        top = min(high, middle + 2.5 * max(middle - low, 0.01))
        margin = 0.04 * (top - low)
        panel.set_ylim(low - margin, top + margin)
