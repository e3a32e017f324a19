"""Deep autoencoders for recommendation."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refeed.config import Config, load_recipe
    from refeed.inference.explanation import Explanation
    from refeed.inference.recommender import Recommendation, Recommender, SimilarItem
    from refeed.ratings.sample import load_sample
    from refeed.ratings.store import Ratings
    from refeed.trained_model import TrainedModel

    __version__: str

__all__ = [
    "Config",
    "Explanation",
    "Ratings",
    "Recommendation",
    "Recommender",
    "SimilarItem",
    "TrainedModel",
    "__version__",
    "load_recipe",
    "load_sample",
]

_HOMES = {
    "Config": "refeed.config",
    "Explanation": "refeed.inference.explanation",
    "TrainedModel": "refeed.trained_model",
    "Ratings": "refeed.ratings.store",
    "Recommendation": "refeed.inference.recommender",
    "Recommender": "refeed.inference.recommender",
    "SimilarItem": "refeed.inference.recommender",
    "load_recipe": "refeed.config",
    "load_sample": "refeed.ratings.sample",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: torch takes seconds, `refeed --help` shouldn't."""
    if name == "__version__":
        return import_module("importlib.metadata").version("refeed")
    if name not in _HOMES:
        raise AttributeError(f"module 'refeed' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
