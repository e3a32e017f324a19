"""Table 4: the paper's nets on the windows that they were chosen for."""

from typing import Any

import numpy as np

from refeed.config import AutoencoderConfig, load_recipe
from refeed.paper.drawing import COLOURS, GREY, panel_look
from refeed.paper.group import Group, contrast
from refeed.paper.plan import Plan
from refeed.paper.published import SYSTEMS
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table, claim_of, number, spread
from refeed.paper.systems import DEEPREC, System, nets
from refeed.paper.table3 import PROTOCOLS, protocol_notes
from refeed.paper.trial import Run
from refeed.paper.windows import GIVEN

__all__ = ["NAME", "runs", "section"]

NAME = "table4"

Row = tuple[str, System, Group, Group]


def runs(plan: Plan) -> list[Run]:
    """A training for each window, protocol and seed."""
    return [
        run
        for window in plan.windows
        for system in nets(window)
        for protocol in PROTOCOLS
        for run in plan.runs(system.variant, window, protocol)
    ]


def section(plan: Plan, outcomes: Outcomes) -> Section:
    """The test RMSE of each net."""
    measured: list[Row] = []
    for window in plan.windows:
        for system in nets(window):
            paper, strict = (plan.group(outcomes, system.variant, window, each) for each in PROTOCOLS)
            measured.append((window, system, paper, strict))
    return Section(
        name=NAME,
        title="Table 4: the paper's nets",
        about=f"Test RMSE of {DEEPREC}, each net with one re-feed a batch, on the windows it was chosen for.",
        table=Table(
            (
                "window",
                "net",
                "test RMSE",
                "clipped",
                "strict protocol",
                "strict protocol, clipped",
                "the paper (Netflix)",
            ),
            [_row(plan, *row) for row in measured],
        ),
        notes=protocol_notes(plan)[:2],
        claims=_claims(measured),
        numbers={
            f"{window}, {_net(system)}": {
                "test_rmse": paper.values("test_rmse"),
                "test_rmse_clipped": paper.values("test_rmse_clipped"),
                "strict_test_rmse": strict.values("test_rmse"),
                "strict_test_rmse_clipped": strict.values("test_rmse_clipped"),
            }
            for window, system, paper, strict in measured
        },
        draw=lambda figure: _draw(figure, plan, measured),
        size=(8.0, 1.4 + 0.6 * len(measured)),
    )


def _net(system: System) -> str:
    model = load_recipe(system.variant.recipe).model
    if not isinstance(model, AutoencoderConfig):
        return system.variant.recipe
    hidden = [*map(str, model.encoder), f"dp({model.dropout:g})", *map(str, model.encoder[-2::-1])]
    return ", ".join(["n", *hidden, "n"])


def _published(window: str, system: System) -> float:
    """The paper's number for the net on its own window."""
    own = system.variant.recipe.removeprefix("deeprec-netflix-") if window == GIVEN.name else window
    return SYSTEMS[own][DEEPREC]


def _row(plan: Plan, window: str, system: System, paper: Group, strict: Group) -> list[str]:
    cells = [
        spread(group.mean(key), group.deviation(key))
        for group in (paper, strict)
        for key in ("test_rmse", "test_rmse_clipped")
    ]
    if not paper.well:
        cells[0] = "diverged" if paper.results else "failed"
    return [plan.title(window), _net(system), *cells, number(_published(window, system))]


def _claims(measured: list[Row]) -> list[Claim]:
    by_recipe = {
        system.variant.recipe: paper for window, system, paper, _ in measured if window == GIVEN.name
    }
    if not by_recipe:
        return []
    claim = claim_of(
        "size",
        "On less data the model that is best on all of Netflix overfits, and a smaller one is better.",
        "the net of 3 months less that of the full window",
        contrast(by_recipe["deeprec-netflix-3m"], by_recipe["deeprec-netflix-full"]),
    )
    return [claim]


def _draw(figure: Any, plan: Plan, measured: list[Row]) -> None:
    panel = figure.subplots()
    places = np.arange(len(measured))
    for at, (window, system, paper, strict) in enumerate(measured):
        for group, mark, colour, label in (
            (paper, "o", COLOURS[0], "the paper's protocol"),
            (strict, "D", COLOURS[1], "strict"),
        ):
            for value in group.values("test_rmse"):
                panel.plot(value, at, mark, color=colour, alpha=0.8, label=label)
        panel.plot(
            _published(window, system), at, "s", color=GREY, fillstyle="none", label="the paper (Netflix)"
        )
    panel.set_yticks(places, [f"{plan.title(window)}:\n{_net(system)}" for window, system, _, _ in measured])
    panel.set_ylim(len(measured) - 0.4, -0.6)
    panel_look(panel, xlabel="test RMSE, a mark for each seed")
    handles = dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
