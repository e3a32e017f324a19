"""The geometry of plots: numbers to places in an SVG of 480 × 260, with the table that says the same.

The templates write the SVG; attributes only, no styles, as the page's policy forbids those inline.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Bars", "Curves", "bars", "curves"]

WIDTH, HEIGHT = 480.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 26.0, 40.0


@dataclass(frozen=True)
class Tick:
    """A number at an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One curve: its points as SVG has them, and as numbers."""

    name: str
    path: str
    dots: Sequence[tuple[Any, float]]
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Curves:
    """Lines over one pair of axes."""

    lines: Sequence[Line]
    x: str
    y: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]


@dataclass(frozen=True)
class Bar:
    """One bar."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: str
    labelled: bool


@dataclass(frozen=True)
class Bars:
    """Bars side by side."""

    bars: Sequence[Bar]
    x: str
    y: str
    y_ticks: Sequence[Tick]


def curves(
    series: Mapping[str, Sequence[tuple[Any, float]]],
    *,
    x: str,
    y: str,
    digits: int,
    square: bool = False,
) -> Curves:
    """Put curves into a plot.

    Args:
        series: name → (x, y) of each point.
        x: what the horizontal axis is.
        y: what the vertical one is.
        digits: of y, in the table.
        square: both axes go from 0 to 1.
    """
    xs = [float(point[0]) for points in series.values() for point in points]
    ys = sorted(float(point[1]) for points in series.values() for point in points)
    left, right = (0.0, 1.0) if square else (min(xs), max(xs))
    # A first epoch that is far off would flatten all others.
    low, high = (0.0, 1.0) if square else (ys[0], min(ys[-1], ys[len(ys) // 2] * 1.4))
    room = 0.0 if square else (high - low) * 0.06 or 0.5
    low, high = low - room, high + room
    to_x, to_y = _Scale(left, right, _LEFT, WIDTH - _RIGHT), _Scale(low, high, HEIGHT - _BOTTOM, _TOP)
    lines = []
    for name, points in series.items():
        dots = [(round(to_x(float(a)), 1), round(to_y(min(max(b, low), high)), 1)) for a, b in points]
        path = "M" + " L".join(f"{a} {b}" for a, b in dots)
        rows = [(f"{a:.2f}" if square else f"{a:g}", f"{b:.{digits}f}") for a, b in points]
        lines.append(Line(name, path, dots if len(dots) <= 20 else [], rows))
    return Curves(
        lines,
        x,
        y,
        [Tick(to_x(at), f"{at:g}") for at in _ticks(left, right)],
        [Tick(to_y(at), f"{at:g}") for at in _ticks(low, high)],
    )


def bars(labels: Sequence[str], values: Sequence[int], *, x: str, y: str) -> Bars:
    """Put bars into a plot.

    Args:
        labels: under the bars.
        values: their heights, 0 or more.
        x: what the horizontal axis is.
        y: what the vertical one is.
    """
    high = float(max([*values, 1]))
    to_y = _Scale(0.0, high * 1.04, HEIGHT - _BOTTOM, _TOP)
    width = (WIDTH - _LEFT - _RIGHT) / len(labels)
    every = max(1, math.ceil(max(map(len, labels)) * 7.5 * len(labels) / (WIDTH - _LEFT - _RIGHT)))
    made = [
        Bar(
            x=round(_LEFT + at * width + width * 0.1, 1),
            y=round(to_y(float(value)), 1),
            width=round(width * 0.8, 1),
            height=round(HEIGHT - _BOTTOM - to_y(float(value)), 1),
            label=label,
            value=f"{value:,}",
            labelled=at % every == 0,
        )
        for at, (label, value) in enumerate(zip(labels, values, strict=True))
    ]
    return Bars(
        made, x, y, [Tick(to_y(at), f"{at:,g}" if at < 1e6 else f"{at:.0e}") for at in _ticks(0.0, high)]
    )


class _Scale:
    """A linear map."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = low, start
        self._by = (end - start) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        return round(self._start + (value - self._low) * self._by, 1)


def _ticks(low: float, high: float) -> list[float]:
    """Four or so round numbers."""
    span = (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) <= 5)
    first = math.ceil(low / step - 1e-9)
    return [
        round((first + at) * step, 10) for at in range(int((high + step * 1e-9 - first * step) / step) + 1)
    ]
