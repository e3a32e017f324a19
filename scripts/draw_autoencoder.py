"""Draw docs/autoencoder.png, the picture at the top of the README: ratings → code → predictions.

.venv/bin/python scripts/draw_autoencoder.py
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle

OUT = Path(__file__).resolve().parent.parent / "docs/autoencoder.png"

RATED = [5, None, None, 1.5, None, 4.5, None, None]
PREDICTED = [4.7, 3.1, 4.2, 1.8, 2.6, 4.4, 3.9, 2.2]
"""Made up, to show the shape of things."""

INK, LIGHT, KNOWN, FILLED = "#333333", "#eceff4", "#8fbcdb", "#f2b880"


def draw(out: Path) -> None:
    """Draw the picture.

    Args:
        out: the PNG to write.
    """
    figure = Figure(figsize=(9.5, 4.2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 19), ylim=(-1, 7.8))
    axes.axis("off")
    _column(axes, 2.2, RATED, "what a person rated")
    _funnel(axes, 4.2, 8.2, 2.9, 1.0, "encoder")
    axes.add_patch(Rectangle((8.5, 2.8), 0.9, 1.9, facecolor=LIGHT, edgecolor=INK))
    axes.text(8.95, 3.75, "code", ha="center", va="center", rotation=90, color=INK)
    axes.text(8.95, 7.25, "a few hundred numbers", ha="center", color=INK)
    _funnel(axes, 9.7, 13.7, 1.0, 2.9, "decoder")
    _column(axes, 14.7, PREDICTED, "a prediction for everything")
    _arrow(axes, (15.3, 0.45), (2.8, 0.45), "arc3,rad=-0.06")
    axes.text(
        9.05, -0.8, "while training: what came out goes in once more (re-feeding)", ha="center", color=INK
    )
    figure.savefig(out, metadata={"Software": None})


def _column(axes: Any, left: float, ratings: Sequence[float | None], title: str) -> None:
    """A column of boxes, one an item; those that are rated in the input keep their colour in the output."""
    axes.text(left + 0.6, 7.25, title, ha="center", color=INK)
    for place, (rating, given) in enumerate(zip(ratings, RATED, strict=True)):
        bottom = 6.1 - 0.74 * place
        color = "white" if rating is None else FILLED if given is None else KNOWN
        axes.add_patch(Rectangle((left, bottom), 1.2, 0.66, facecolor=color, edgecolor=INK, linewidth=0.8))
        axes.text(left + 0.6, bottom + 0.3, "" if rating is None else f"{rating:g}", ha="center", va="center")


def _funnel(axes: Any, left: float, right: float, tall: float, low: float, name: str) -> None:
    corners = [(left, 3.75 - tall), (left, 3.75 + tall), (right, 3.75 + low), (right, 3.75 - low)]
    axes.add_patch(Polygon(corners, closed=True, facecolor=LIGHT, edgecolor=INK))
    axes.text((left + right) / 2, 3.75, name, ha="center", va="center", color=INK)


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], bend: str) -> None:
    axes.add_patch(
        FancyArrowPatch(start, end, connectionstyle=bend, arrowstyle="-|>", mutation_scale=14, color=INK)
    )


if __name__ == "__main__":
    draw(OUT)
