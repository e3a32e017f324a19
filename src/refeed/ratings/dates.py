"""Dates as people write them, and Unix seconds; all in UTC."""

import re
from datetime import UTC, date, datetime

import numpy as np

from refeed.errors import ConfigError

__all__ = ["DAY", "moment_of", "seconds_of", "span_of"]

DAY = 86_400
"""Seconds."""


def seconds_of(when: int | str, *, last: bool = False) -> int:
    """Unix seconds of a date `YYYY-MM-DD`; Unix seconds, as a number or as digits, are taken as they are.

    Args:
        when: the date.
        last: the day's last second instead of its first.

    Raises:
        ConfigError: it is neither.
    """
    text = str(when).strip()
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    try:
        # fromisoformat alone takes weeks and dates without hyphens too.
        day = date.fromisoformat(text if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else "")
    except ValueError:
        raise ConfigError(
            f"{when!r} is no date; give YYYY-MM-DD, such as 2005-12-01, or Unix seconds, such as 1133395200"
        ) from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + last * (DAY - 1)


def moment_of(seconds: int) -> str:
    """A time as `YYYY-MM-DD` where a day starts or ends, else as `YYYY-MM-DDThh:mm:ssZ`."""
    # numpy, as a time in milliseconds by mistake is a year that datetime can't hold.
    moment = np.datetime64(seconds, "s")
    return str(moment.astype("datetime64[D]")) if seconds % DAY in (0, DAY - 1) else f"{moment}Z"


def span_of(times: tuple[int, int]) -> str:
    """The first and the last day of a time span."""
    first, last = (str(np.datetime64(time, "s").astype("datetime64[D]")) for time in times)
    return f"{first} … {last}"
