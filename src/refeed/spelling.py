"""What somebody may have meant who wrote an id or a title that doesn't exist."""

import heapq
import re
from collections.abc import Iterable
from difflib import SequenceMatcher

__all__ = ["close_matches"]

_SHORTLIST = 100
_LIKENESS = 0.6
_GRAMS = 32  # of a very long word the first ones will do


def close_matches(word: str, words: Iterable[str], count: int = 3) -> list[str]:
    """Words that are spelled like `word`, or hold all of its parts in another order, best first.

    "the matrix" finds "Matrix, The (1999)". Case doesn't matter. difflib's comparison takes 10 µs and more a
    word, so among many it gets only those that share most letters and pairs of letters: a million words
    take some seconds.

    Args:
        word: what was written.
        words: what exists.
        count: the most to return.
    """
    wanted = word.casefold()
    grams = _grams(wanted)

    def shared(candidate: str) -> float:
        folded = candidate.casefold()
        return sum(gram in folded for gram in grams) / (len(folded) + len(wanted) + 1)

    shortlist = heapq.nlargest(_SHORTLIST, words, key=shared)
    rated = [(_likeness(wanted, candidate.casefold()), candidate) for candidate in shortlist]
    rated = [pair for pair in rated if max(pair[0]) >= _LIKENESS]
    return [candidate for _, candidate in heapq.nlargest(count, rated, key=lambda pair: pair[0])]


def _grams(wanted: str) -> list[str]:
    pairs = (wanted[start : start + 2] for start in range(len(wanted) - 1))
    return list(dict.fromkeys([*wanted, *pairs]))[:_GRAMS]


def _likeness(wanted: str, candidate: str) -> tuple[float, float]:
    """(the share of the wanted parts that are there, the likeness of the spelling)."""
    parts = set(re.findall(r"\w+", wanted))
    found = len(parts & set(re.findall(r"\w+", candidate))) / len(parts) if parts else 0.0
    # Half of two parts ("The ...") says nothing, so anything less than most of them counts as none.
    return found if found >= _LIKENESS else 0.0, SequenceMatcher(None, wanted, candidate).ratio()
