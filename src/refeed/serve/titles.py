"""Titles as people say them: without the year, and with the article in front."""

import re

__all__ = ["pretty", "year_of"]

_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_ARTICLE = re.compile(r"^(.+), (The|A|An|Les|Le|La|L'|Il|El|Los|Las|Der|Die|Das)$")


def pretty(title: str) -> str:
    """A title as people say it: "Matrix, The (1999)" is "The Matrix"."""
    name = _YEAR.sub("", title)
    name, _, aside = name.partition(" (")
    found = _ARTICLE.match(name)
    if found:
        name = f"{found[2]}{'' if found[2].endswith(chr(39)) else ' '}{found[1]}"
    return f"{name} ({aside}" if aside and not found else name


def year_of(title: str | None) -> str:
    """The year at the end of a title, "" if there is none."""
    found = _YEAR.search(title or "")
    return found[1] if found else ""
