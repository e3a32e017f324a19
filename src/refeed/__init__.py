"""Deep autoencoders for recommendation: from a table of ratings or clicks to predictions and lists."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if sys.platform == "win32":
    raise ImportError(
        "refeed runs on Linux and macOS; on Windows use it in the Windows Subsystem for Linux (WSL)"
    )

if TYPE_CHECKING:
    from refeed.api import fit, load, open, read, split  # noqa: A004 - refeed.open, as gzip.open
    from refeed.config import Config, load_recipe
    from refeed.evaluation.evaluate import Comparison, Evaluation, compare
    from refeed.inference.explanation import Explanation
    from refeed.inference.lines import Recommendation, SimilarItem
    from refeed.inference.lists import RecommendationList, RecommendationLists
    from refeed.inference.recommender import Recommender
    from refeed.ratings.ids import Ids
    from refeed.ratings.sample import load_sample
    from refeed.ratings.split import Split
    from refeed.ratings.store import Ratings
    from refeed.table import Table
    from refeed.trained_model import TrainedModel

    __version__: str

__all__ = [
    "Comparison",
    "Config",
    "Evaluation",
    "Explanation",
    "Ids",
    "Ratings",
    "Recommendation",
    "RecommendationList",
    "RecommendationLists",
    "Recommender",
    "SimilarItem",
    "Split",
    "Table",
    "TrainedModel",
    "__version__",
    "compare",
    "fit",
    "load",
    "load_recipe",
    "load_sample",
    "open",
    "read",
    "split",
]

_HOMES = {
    "Comparison": "refeed.evaluation.evaluate",
    "Config": "refeed.config",
    "Evaluation": "refeed.evaluation.evaluate",
    "Explanation": "refeed.inference.explanation",
    "Ids": "refeed.ratings.ids",
    "Ratings": "refeed.ratings.store",
    "Recommendation": "refeed.inference.lines",
    "RecommendationList": "refeed.inference.lists",
    "RecommendationLists": "refeed.inference.lists",
    "Recommender": "refeed.inference.recommender",
    "SimilarItem": "refeed.inference.lines",
    "Split": "refeed.ratings.split",
    "Table": "refeed.table",
    "TrainedModel": "refeed.trained_model",
    "compare": "refeed.evaluation.evaluate",
    "fit": "refeed.api",
    "load": "refeed.api",
    "load_recipe": "refeed.config",
    "load_sample": "refeed.ratings.sample",
    "open": "refeed.api",
    "read": "refeed.api",
    "split": "refeed.api",
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
