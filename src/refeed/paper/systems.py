"""The systems of tables 3 and 4: every one that has a recipe in this version."""

from dataclasses import dataclass

from refeed.config import load_recipe, recipe_names
from refeed.paper.plan import Variant
from refeed.paper.windows import GIVEN

__all__ = ["DEEPREC", "System", "missing", "nets", "systems"]

DEEPREC = "DeepRec"


@dataclass(frozen=True)
class System:
    """A way to predict ratings, and what the paper calls it.

    Args:
        variant: its recipe.
        paper: its name in the paper's tables, or None.
    """

    variant: Variant
    paper: str | None = None


_OTHERS = {
    "mean": None,
    "bias": None,
    "pmf": "PMF",
    "mf": None,
    "svdpp": None,
    "timesvdpp": "T-SVD",
    "u-autorec": "U-AR",
    "i-autorec": "I-AR",
    "rrn": "RRN",
    "myfm-flipped": None,
    "default": None,
    "simple": None,
    "plus": None,
}
"""Recipe → its name in the paper."""


def nets(window: str) -> list[System]:
    """DeepRec's net for a window (table 4); for a given split all of them, as none was chosen for it."""
    names = ("3m", "6m", "full") if window == GIVEN.name else (window,)
    return [
        System(Variant(f"{DEEPREC}, net of {name}", f"deeprec-netflix-{name}"), DEEPREC) for name in names
    ]


def systems(window: str) -> list[System]:
    """All that there are, DeepRec's nets last; two recipes of the same settings count once."""
    found: dict[str, System] = {}
    for recipe, paper in _OTHERS.items():
        if recipe in recipe_names():
            found.setdefault(load_recipe(recipe).to_toml(), System(Variant(recipe, recipe), paper))
    return [*found.values(), *nets(window)]


def missing() -> list[str]:
    """The systems that this version has no recipe for."""
    return [recipe for recipe in _OTHERS if recipe not in recipe_names()]
