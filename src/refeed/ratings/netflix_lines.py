"""The lines of the Netflix Prize, `1488844,3,2005-09-06`, thousands at a time with numpy.

A well-formed line ends in 13 known places, so three words of 8 bytes, read where the line ends, hold its
date, its rating and its user; each is checked and turned into numbers with a few operations on whole words,
the way of D. Lemire's `parse_eight_digits`. Whatever is not well-formed is left to
`odd_rating`, one line at a time.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt64
from numpy.typing import NDArray

__all__ = ["Lines", "OddRating", "odd_rating", "parse_lines"]

Words = UInt64[np.ndarray, " lines"]

_MARGIN = 24
"""Bytes before the first line, for the words that reach back beyond it."""
_TAIL = len(",3,2005-09-06")
_HIGH_BITS = np.uint64(0x8080808080808080)
_DIGITS = np.uint64(0x7676767676767676)  # added to 0…9 it leaves the high bit of a byte clear
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_EPOCH = date(1970, 1, 1).toordinal()


def _word(text: bytes) -> np.uint64:
    """The 8 bytes as the processor holds them, the first one lowest."""
    return np.uint64(int.from_bytes(text, "little"))


def _slack(pattern: bytes) -> np.uint64:
    """What to add to a word, once `pattern` is taken out of it, to see digits and separators violated."""
    return _word(bytes(0x76 if place == ord("0") else 0x7F if place else 0 for place in pattern))


_DATE = b"00-00-00"  # of a year the last two digits
_RATING = b"\0\0\0,0,00"  # the year's first two digits come last
_RATING_BYTES = _word(b"\0\0\0\xff\xff\xff\xff\xff")
# By the number of the user's digits, 0 to 8: which bytes of the word are theirs, and the least such number.
_USER_BYTES = np.array([(2**64 - 1) ^ (2 ** (64 - 8 * n) - 1) for n in range(9)], dtype=np.uint64)
_USER_LEAST = np.array([0, 0, *(10 ** (n - 1) for n in range(2, 9))], dtype=np.uint64)


def _calendar() -> NDArray[np.int16]:
    """Days since 1970 by (year − 1970) · 10⁴ + month · 100 + day, for 1970 to 2049; −1: no such day."""
    days = np.arange(np.datetime64("1970-01-01"), np.datetime64("2050-01-01"))
    months = days.astype("datetime64[M]")
    years = months.astype("datetime64[Y]").astype(np.int64)
    calendar = np.full(80 * 10_000, -1, dtype=np.int16)
    month_of_year = months.astype(np.int64) - 12 * years + 1
    day_of_month = (days - months).astype(np.int64) + 1
    calendar[years * 10_000 + month_of_year * 100 + day_of_month] = np.arange(len(days))
    return calendar


_CALENDAR = _calendar()


@dataclass(frozen=True, eq=False)
class Lines:
    """What the lines of a text say.

    Args:
        starts: where each line starts in the text.
        stops: where it ends, before its line break.
        good: whether it is a well-formed rating; only there the next three mean anything.
        users: the user.
        ratings: the rating.
        days: the day, counted from 1970-01-01.
    """

    starts: Int64[np.ndarray, " lines"]
    stops: Int64[np.ndarray, " lines"]
    good: Bool[np.ndarray, " lines"]
    users: Int64[np.ndarray, " lines"]
    ratings: Float32[np.ndarray, " lines"]
    days: Int64[np.ndarray, " lines"]


def parse_lines(text: bytes) -> Lines:
    """Parse lines that end in a line feed, the last one too.

    A rating is well-formed if its user has at most 8 digits and no leading zero, its rating is one digit, and
    its date, from 1970 to 2049, exists.
    """
    padded = np.frombuffer(b"\0" * (_MARGIN - 1) + b"\n" + text, dtype=np.uint8)
    breaks = np.flatnonzero(padded == ord("\n"))
    starts, stops = breaks[:-1] + 1, breaks[1:]
    words = np.ndarray(len(padded) - 7, dtype="<u8", buffer=padded, strides=(1,))
    user_length = stops - starts - _TAIL
    short = (user_length >= 1) & (user_length <= 8)
    user_length[~short] = 0
    users, good = _users(words[stops - _TAIL - 8], user_length)
    ratings, days, tail_good = _tails(words[stops - 16], words[stops - 8])
    return Lines(
        starts=starts - _MARGIN,
        stops=stops - _MARGIN,
        good=short & good & tail_good,
        users=users.view(np.int64),
        ratings=ratings.astype(np.float32),
        days=days,
    )


def _users(words: Words, length: Int64[np.ndarray, " lines"]) -> tuple[Words, Bool[np.ndarray, " lines"]]:
    digits = (words ^ _word(b"00000000")) & _USER_BYTES[length]
    good = ((digits | (digits + _DIGITS)) & _HIGH_BITS) == 0
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    even, every_second = pairs & np.uint64(0xFF000000FF), np.uint64(0xFF000000FF)
    odd = (pairs >> np.uint64(16)) & every_second
    users = (even * np.uint64(100 + (1_000_000 << 32)) + odd * np.uint64(1 + (10_000 << 32))) >> np.uint64(32)
    return users, good & (users >= _USER_LEAST[length])


def _tails(
    before: Words, end: Words
) -> tuple[Words, Int64[np.ndarray, " lines"], Bool[np.ndarray, " lines"]]:
    """Rating and day of lines, from the last 16 bytes of each."""
    rating = (before ^ _word(_RATING)) & _RATING_BYTES
    day = end ^ _word(_DATE)
    bad = rating | (rating + _slack(_RATING)) | day | (day + _slack(_DATE))
    byte = np.uint64(0xFF)
    pairs = day * np.uint64(10) + (day >> np.uint64(8))
    year = ((rating >> np.uint64(48)) & byte) * np.uint64(1000) + (rating >> np.uint64(56)) * np.uint64(100)
    key = (year + (pairs & byte)) * np.uint64(10_000)
    key += ((pairs >> np.uint64(24)) & byte) * np.uint64(100) + ((pairs >> np.uint64(48)) & byte)
    key -= np.uint64(1970 * 10_000)  # what is before 1970 wraps around to beyond 2049
    known = ((bad & _HIGH_BITS) == 0) & (key < len(_CALENDAR))
    key[~known] = 0
    days = _CALENDAR[key.view(np.int64)].astype(np.int64)
    return (rating >> np.uint64(32)) & byte, days, known & (days >= 0)


class OddRating(NamedTuple):
    """A rating: user, value, and day counted from 1970-01-01."""

    user: int
    rating: float
    day: int


def odd_rating(line: str) -> OddRating | tuple[str, str]:
    """Read a line that `parse_lines` did not, or say which field is at fault and why."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != 3:
        return line, "expected user,rating,YYYY-MM-DD"
    user, rating, day = fields
    if not re.fullmatch("0|[1-9][0-9]{0,17}", user):
        return user, "the user is no whole number such as 1488844"
    try:
        value = float("" if "_" in rating else rating)
    except ValueError:
        return rating, "the rating is no number"
    if not abs(value) <= _LARGEST_FLOAT32:
        return rating, "the rating is not finite, or beyond the range of float32"
    try:
        # fromisoformat alone takes weeks and dates without hyphens too.
        ordinal = date.fromisoformat(
            day if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", day) else ""
        ).toordinal()
    except ValueError:
        return day, "the date is no day of the form YYYY-MM-DD"
    return OddRating(int(user), value, ordinal - _EPOCH)
