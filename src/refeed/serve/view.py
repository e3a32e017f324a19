"""How things look to people: titles, stars, bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from refeed.serve.engine import Engine
from refeed.serve.lines import Line, Reason
from refeed.serve.titles import pretty, year_of

__all__ = ["Scale", "coded", "described_operations", "shown_line"]

_MOST_STEPS = 10


@dataclass(frozen=True)
class Scale:
    """The ratings that can be given.

    Args:
        low: the lowest.
        high: the highest.
        step: between neighbours; 0: any number between.
    """

    low: float
    high: float
    step: float

    @property
    def values(self) -> Sequence[float]:
        """All of them, if they are few enough to click on, else none."""
        if not self.step or round((self.high - self.low) / self.step) + 1 > _MOST_STEPS:
            return ()
        count = round((self.high - self.low) / self.step) + 1
        return [round(self.low + at * self.step, 6) for at in range(count)]

    @property
    def halves(self) -> bool:
        """Whether a star has two halves: half stars from 0.5 up."""
        return self.step == 0.5 and self.low == 0.5

    def share(self, rating: float) -> float:
        """Where on the scale a rating is, 0 to 1."""
        return (rating - self.low) / (self.high - self.low) if self.high > self.low else 0.5


def shown_line(engine: Engine, scale: Scale, line: Line) -> dict[str, Any]:
    """A line of the list, with what its bar and its reasons need."""
    position = int(engine.catalogue.known_positions([line["item"]])[0])
    title = line["title"] or line["item"]
    taken = line["taken"]
    low, high = line["low"], line["high"]
    return {
        **line,
        "at": position,
        "title": pretty(title),
        "year": year_of(title),
        "bar": None
        if low is None or high is None
        else {
            "x": 4 + 192 * scale.share(low),
            "width": max(2.0, 192 * (scale.share(high) - scale.share(low))),
            "point": 4 + 192 * scale.share(line["rating"] or scale.low),
        },
        # Of a model of interactions both sums are one.
        "because": [] if line["rating"] is None else _shown_reasons(line["because"], 1.0),
        "taken_because": [] if taken is None else _shown_reasons(taken["because"], 100.0),
    }


def _shown_reasons(reasons: Sequence[Reason], unit: float) -> list[dict[str, Any]]:
    """Reasons with the width of their bars, and what they add times a unit."""
    most = max((abs(reason["adds"]) for reason in reasons), default=0.0) or 1.0
    return [
        {
            **reason,
            "title": pretty(reason["title"] or reason["item"]),
            "width": max(1.0, 48 * abs(reason["adds"]) / most),
            "shown": unit * reason["adds"],
        }
        for reason in reasons
    ]


def coded(text: str) -> Markup:
    """A text with what is between `backticks` as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 and at < len(parts) - 1 else part
        for at, part in enumerate(parts)
    )


def described_operations(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations of an OpenAPI document, for a page without scripts."""
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            found.append(
                {
                    "path": path,
                    "method": method.upper(),
                    "tag": operation.get("tags", [""])[0],
                    "id": operation["operationId"],
                    "text": operation.get("description", ""),
                    "parameters": operation.get("parameters", []),
                    "body": _fields(document, body.get("schema", {})),
                    "answers": [
                        (status, answer["description"])
                        for status, answer in operation["responses"].items()
                        if status[0] == "2"
                    ],
                }
            )
    return found


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, type and description of what a body holds."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = set(schema.get("required", ()))
    return [
        (name, _kind(field) + ("" if name in required else ", optional"), field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ] or ([("", "an object: item → rating or value", "")] if schema else [])


def _kind(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(one) for one in field["anyOf"] if one.get("type") != "null"))
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2]).lower()
    kind = str(field.get("type", "value"))
    if kind == "array":
        return f"list of {_kind(field.get('items', {}))}"
    return "object: id → value" if kind == "object" else kind
