"""What an experiment has to show: a table, a picture, claims; as JSON, Markdown and PNG."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from refeed.files import atomic_file
from refeed.paper.group import Contrast

__all__ = ["Claim", "Section", "Table", "Verdict", "claim_of", "number", "spread", "write_section"]

Verdict = Literal["holds", "does not hold", "not settled", "not measured"]


@dataclass(frozen=True)
class Table:
    """Headers and rows of text."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown; all but the first column are aligned to the right."""
        lines = [self.headers, ["---", *["---:"] * (len(self.headers) - 1)], *self.rows]
        return "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )


@dataclass(frozen=True)
class Claim:
    """A claim of the paper's, and what these ratings say of it.

    Args:
        topic: in a word: depth, activations, dropout, …
        says: the claim.
        verdict: on these ratings.
        evidence: the numbers that the verdict follows from.
    """

    topic: str
    says: str
    verdict: Verdict
    evidence: str

    def __str__(self) -> str:
        """As Markdown."""
        return f"*{self.says}* **{self.verdict.capitalize()}**: {self.evidence}"


@dataclass(frozen=True)
class Section:
    """An experiment's outcome.

    Args:
        name: of its files.
        title: as in the paper.
        about: what was done, in a sentence or two.
        table: measured numbers beside the paper's.
        notes: deviations from the paper, and what is missing, a sentence each.
        claims: of the paper's that it bears on.
        numbers: everything in the table and the picture, for programs.
        draw: draws on a matplotlib Figure.
        size: of that figure, in inches.
    """

    name: str
    title: str
    about: str
    table: Table
    notes: Sequence[str]
    claims: Sequence[Claim]
    numbers: Mapping[str, Any]
    draw: Callable[[Any], None]
    size: tuple[float, float] = (8.0, 4.2)

    def markdown(self) -> str:
        """Everything but the picture."""
        notes = "".join(f"- {note}\n" for note in self.notes)
        claims = "".join(f"- {claim}\n" for claim in self.claims)
        parts = [f"# {self.title}", self.about, self.table.markdown(), notes.rstrip(), claims.rstrip()]
        return "\n\n".join(part for part in parts if part) + "\n"


def write_section(section: Section, out: Path, figure_class: Any) -> None:
    """Write <name>.json, <name>.md and <name>.png, each atomically; what is there is replaced."""
    facts = {
        "name": section.name,
        "title": section.title,
        "about": section.about,
        "numbers": section.numbers,
        "notes": list(section.notes),
        "claims": [asdict(claim) for claim in section.claims],
    }
    with atomic_file(out / f"{section.name}.json") as beside:
        beside.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with atomic_file(out / f"{section.name}.md") as beside:
        beside.write_text(section.markdown(), encoding="utf-8")
    figure = figure_class(figsize=section.size, dpi=130, layout="constrained", facecolor="white")
    section.draw(figure)
    with atomic_file(out / f"{section.name}.png") as beside:
        figure.savefig(beside, format="png")


def number(value: float | None, digits: int = 4) -> str:
    """A number for people; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def spread(mean: float | None, deviation: float | None) -> str:
    """Mean ± deviation."""
    return number(mean) if deviation is None else f"{number(mean)} ± {number(deviation)}"


def claim_of(topic: str, says: str, what: str, difference: Contrast | None, *, expected: int = -1) -> Claim:
    """A claim that rests on one difference in test RMSE.

    Args:
        topic: of the claim.
        says: the claim.
        what: which difference it is, in words.
        difference: between the two groups; None if it could not be measured.
        expected: the sign of the difference that the claim expects; 0: none that is settled.
    """
    if difference is None:
        return Claim(topic, says, "not measured", f"{what}: a training is missing or diverged.")
    verdict: Verdict = "holds" if difference.sign == expected else "does not hold"
    if difference.sign == 0 != expected:
        verdict = "not settled"
    return Claim(topic, says, verdict, f"{what}: {difference} in test RMSE.")
