"""A process's share of a batch."""

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Share"]

E = TypeVar("E")


@dataclass(frozen=True)
class Share(Generic[E]):
    """This process's share of a batch.

    Args:
        number: of the batch in its epoch, counted from 0.
        example: what the share's users teach.
        rows: which of the batch's users they are.
        total: how many users the whole batch has.
    """

    number: int
    example: E
    rows: slice
    total: int
