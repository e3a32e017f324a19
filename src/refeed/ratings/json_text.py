"""JSON tables, record by record with exact line numbers: an object a line, or objects one after the other."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOBase
from itertools import islice
from typing import Any

from refeed.errors import DataError
from refeed.ratings.source import Source
from refeed.ratings.text import Record, shown

__all__ = ["is_json", "json_records", "json_sample"]

_SUFFIXES = {".jsonl", ".ndjson", ".json"}
_SPACE = re.compile(r"[\s,]*")
_CHUNK = 1 << 20
_LARGEST = 1 << 26
"""Characters that one value of an array may have."""
_SAMPLE = 100
# Numbers stay as they are written.
_VERBATIM: Mapping[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": str}


def is_json(source: Source) -> bool:
    """Whether a text is JSON: it starts with an object, or an array of objects, and its name allows it."""
    with source.open() as file:
        start = file.read(4096).lstrip()
    if source.suffixes & _SUFFIXES:
        return start.startswith(("{", "["))
    return bool(re.match(r'\[?\s*\{\s*("|\}|$)', start)) and not source.suffixes & {".csv", ".tsv"}


def json_sample(source: Source) -> list[dict[str, Any]]:
    """The first objects of a JSON text; bad ones are left out.

    Raises:
        DataError: there is none.
    """
    found = [value for _, value, _ in islice(_values(source), _SAMPLE) if isinstance(value, dict)]
    if not any(found):
        raise DataError(f"{source.name}: expected a JSON object on each line, or an array of them")
    return found


def json_records(source: Source, names: Sequence[str], *, further: int = 0) -> Iterator[Record]:
    """The records of a JSON text, as the columns `names`; what else an object holds is not looked at.

    In the `further` last ones there may be lists and objects, too, which become text.
    """
    for line, value, text in _values(source):
        if value is None and text is not None:
            yield Record(line, [], f"it is no JSON: {shown(text.strip())}")
        elif not isinstance(value, dict):
            yield Record(line, [], f"it is no JSON object: {shown(_text(value, text))}")
        else:
            cells = [value.get(name) for name in names]
            cells[len(cells) - further :] = map(_anything, cells[len(cells) - further :])
            if any(isinstance(cell, dict | list | bool) for cell in cells):
                yield Record(line, [], f"a field is neither text nor a number: {shown(_text(value, text))}")
            else:
                yield Record(line, cells)


def _anything(cell: object) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, list) and all(isinstance(part, str) for part in cell):
        return "|".join(cell)
    return json.dumps(cell, ensure_ascii=False)


def _text(value: object, text: str | None) -> str:
    return json.dumps(value, ensure_ascii=False) if text is None else text.strip()


def _values(source: Source) -> Iterator[tuple[int, Any, str | None]]:
    """The values of a text with their lines; and, if each has a line of its own, that line."""
    with source.open() as file:
        first = next((line for line in file if line.strip()), "")
    try:
        lines = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        # An array, or an object over several lines; a line that is cut off ends in no "{" or ",".
        lines = not first.lstrip().startswith("[") and first.strip()[-1:] not in ("{", ",")
    with source.open() as file:
        if not lines:
            yield from ((line, value, None) for line, value in _array_values(file, source.name))
            return
        for line, text in enumerate(file, 1):
            if text.strip():
                try:
                    value = json.loads(text, **_VERBATIM)
                except (ValueError, RecursionError):
                    value = None
                yield line, value, text


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _array_values(file: TextIOBase, where: str) -> Iterator[tuple[int, Any]]:
    """The values of an array, or of values that follow each other, a chunk of text at a time.

    Raises:
        DataError: it is no JSON, or ends before its end; where the next value starts is unknown then.
    """
    decoder = json.JSONDecoder(**_VERBATIM)
    text, at, line = file.read(_CHUNK), 0, 1
    at = _after_space(text, 0)
    array = text.startswith("[", at)
    line, at = line + text.count("\n", 0, at), at + array
    while True:
        start = _after_space(text, at)
        line, at = line + text.count("\n", at, start), start
        if text.startswith("]", at) and array:
            return
        try:
            value, stop = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            value, stop = None, None
            cause = str(error)
        # A number that ends with the chunk may go on.
        if stop is None or stop == len(text):
            more = file.read(max(_CHUNK, len(text) - at)) if len(text) - at < _LARGEST else ""
            if more:
                text, at = text[at:] + more, 0
                continue
            if stop is None:
                if at == len(text) and not array:
                    return
                end = "it ends before the array does" if at == len(text) else f"it is no JSON ({cause})"
                raise DataError(f"{where}:{line}: {end}: {shown(text[at : at + 80])}")
        yield line, value
        line, at = line + text.count("\n", at, stop), stop
