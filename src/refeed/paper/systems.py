"""The systems of tables 3 and 4: every one that has a recipe in this version."""

from dataclasses import dataclass

from refeed.config import load_recipe, recipe_names
from refeed.paper.plan import Variant
from refeed.paper.windows import GIVEN

__all__ = ["DEEPREC", "System", "missing", "nets", "systems"]

DEEPREC = "DeepRec"
_NETS = "deeprec-netflix-"


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
    "surprise-svd": None,
    "surprise-svdpp": None,
    "cornac-mf": None,
    "lenskit-mf": None,
    "myfm-flipped": None,
    "default": None,
    "blend": None,
    "simple": None,
}
"""Recipe → its name in the paper."""


def nets(window: str) -> list[System]:
    """DeepRec's net for a window (table 4); for a given split all of them, as none was chosen for it."""
    return [_net(name) for name in (("3m", "6m", "full") if window == GIVEN.name else (window,))]


def systems(window: str) -> list[System]:
    """All that there are, DeepRec's nets last; two recipes of the same settings count once."""
    there = [
        System(Variant(recipe, recipe), _OTHERS[recipe]) for recipe in _OTHERS if recipe in recipe_names()
    ]
    there += nets(window) + [net for own in nets(window) for net in _variations(own)]
    found: dict[str, System] = {}
    for system in there:
        found.setdefault(load_recipe(system.variant.recipe).to_toml(), system)
    return list(found.values())


def missing() -> list[str]:
    """The systems that this version has no recipe for."""
    return [recipe for recipe in _OTHERS if recipe not in recipe_names()]


def _net(name: str) -> System:
    return System(Variant(f"{DEEPREC}, net of {name}", f"{_NETS}{name}"), DEEPREC)


def _variations(own: System) -> list[System]:
    """The same net trained otherwise: deeprec-netflix-full-large, say."""
    names = [recipe for recipe in recipe_names() if recipe.startswith(f"{own.variant.recipe}-")]
    return [_net(recipe.removeprefix(_NETS)) for recipe in names]
