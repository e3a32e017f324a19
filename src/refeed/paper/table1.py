"""Table 1: users and ratings of the four windows, against the published counts."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from refeed.paper.drawing import COLOURS, GREY, panel_look
from refeed.paper.plan import Plan
from refeed.paper.published import WINDOWS
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table
from refeed.paper.trial import Run
from refeed.paper.windows import Counts

__all__ = ["NAME", "runs", "section"]

NAME = "table1"

_WORDS = {
    "train_users": "training, users",
    "train_items": "training, items",
    "train_ratings": "training, ratings",
    "test_users": "test, users",
    "test_items": "test, items",
    "test_ratings": "test, ratings",
}


def runs(_plan: Plan) -> list[Run]:
    """None: it counts."""
    return []


def section(plan: Plan, _outcomes: Outcomes) -> Section:
    """Count every window."""
    counts = {name: plan.data.count(name) for name in plan.windows}
    rows, differences = [], []
    for name, here in counts.items():
        for key, words in _WORDS.items():
            value, published = getattr(here, key), getattr(WINDOWS.get(name), key, None)
            row = [plan.within(name, words), f"{value:,}", "–", "–"]
            if published is not None and plan.data.is_netflix:
                row[2:] = f"{published:,}", _difference(value - published)
                if value != published:
                    differences.append(f"{plan.within(name, words)}: {value:,}, published are {published:,}.")
            elif published is not None:
                row[2:] = f"{published:,}", f"{100 * value / published:.3g} %"
            rows.append(row)
    return Section(
        name=NAME,
        title="Table 1: the windows",
        about=(
            "Users, items and ratings of each training window and of the test interval after it, validation "
            "and test together; held-out ratings count if their user and item occur in training."
        ),
        table=Table(
            ("window", "here", "the paper", "difference" if plan.data.is_netflix else "here / there"), rows
        ),
        notes=[*_notes(plan), *differences],
        claims=_claims(plan, differences),
        numbers={
            name: {"window": plan.data.windows[name].how, **asdict(each)} for name, each in counts.items()
        },
        draw=lambda figure: _draw(figure, plan, counts),
        size=(8.0, 0.9 + 0.9 * len(counts)),
    )


def _difference(count: int) -> str:
    return f"{abs(count):,} {'more' if count > 0 else 'fewer'}" if count else "none"


def _notes(plan: Plan) -> list[str]:
    notes = [f"{plan.title(name)}: {plan.data.windows[name].how}." for name in plan.windows]
    notes.append("The paper's table has no items; theirs are those of the published software's splits.")
    if not plan.data.is_netflix:
        notes.append(
            "These are not all ratings of the Netflix Prize, so the counts differ; the paper's are there to "
            "show the proportions."
        )
    return notes


def _claims(plan: Plan, differences: list[str]) -> list[Claim]:
    says = "The splits match exactly the ones used in (Wu et al., 2017)."
    if not plan.data.is_netflix:
        return [Claim("splits", says, "not measured", "these are not all ratings of the Netflix Prize.")]
    if differences:
        return [Claim("splits", says, "does not hold", f"{len(differences)} counts differ; see table 1.")]
    return [Claim("splits", says, "holds", "all counts are the published ones.")]


def _draw(figure: Any, plan: Plan, counts: Mapping[str, Counts]) -> None:
    panels = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(counts))
    for panel, key, title in zip(
        panels, ("train_ratings", "test_ratings"), ("Training ratings", "Test ratings"), strict=True
    ):
        here = [getattr(each, key) for each in counts.values()]
        published = [getattr(WINDOWS.get(name), key, np.nan) for name in counts]
        panel.barh(places - 0.2, here, 0.38, color=COLOURS[0], label="here")
        panel.barh(places + 0.2, published, 0.38, color=GREY, label="the paper (Netflix)")
        panel.set_xscale("log")
        panel.set_yticks(places, [plan.title(name) for name in counts])
        panel_look(panel, title=title)
    panels[0].invert_yaxis()
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
