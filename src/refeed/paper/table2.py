"""Table 2: depth helps generalisation."""

from dataclasses import replace
from typing import Any

from refeed.paper import figure3
from refeed.paper.drawing import COLOURS, GREY, panel_look
from refeed.paper.group import Contrast, Group, contrast
from refeed.paper.plan import Plan, network
from refeed.paper.published import DEPTH
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table, claim_of, spread
from refeed.paper.trial import Run

__all__ = ["NAME", "VARIANTS", "runs", "section"]

NAME = "table2"

VARIANTS = {layers: network(f"{layers} layers", [128] * (layers // 2)) for layers in DEPTH}
"""Layers, those of encoder and decoder together → the network; all hidden ones have 128 units."""

_WIDE = figure3.VARIANTS[256, False]


def runs(plan: Plan) -> list[Run]:
    """A training for each depth and seed, and one layer of 256 to compare with."""
    return [run for variant in (*VARIANTS.values(), _WIDE) for run in plan.runs(variant)]


def section(plan: Plan, outcomes: Outcomes) -> Section:
    """Compare the evaluation RMSE by depth."""
    groups = {layers: plan.group(outcomes, variant) for layers, variant in VARIANTS.items()}
    wide = plan.group(outcomes, _WIDE)
    rows = [
        [str(layers), *_measured(group), f"{DEPTH[layers][0]:.4g}", f"{DEPTH[layers][1]:,}"]
        for layers, group in groups.items()
    ]
    rows.append(["2, of 256", *_measured(wide), "above 1.0", "9,115,240"])
    claims = [
        claim_of(
            "depth",
            "Going from one layer in encoder and decoder to three gives a good improvement.",
            "6 layers less 2 layers",
            contrast(groups[6], groups[2]),
        ),
        _diminishing(contrast(groups[12], groups[6]), contrast(groups[6], groups[2])),
        claim_of(
            "depth",
            "One layer of 256, with almost twice the parameters, is much worse than any of the deep models.",
            "6 layers of 128 less one hidden layer of 256",
            contrast(groups[6], wide),
        ),
    ]
    return Section(
        name=NAME,
        title="Table 2: depth",
        about=f"Evaluation RMSE by the number of layers, all of 128 units ({plan.title(plan.window)}).",
        table=Table(
            (
                "layers",
                "evaluation RMSE",
                "test RMSE",
                "parameters",
                "the paper: evaluation RMSE",
                "the paper: parameters",
            ),
            rows,
        ),
        notes=[plan.updates()],
        claims=claims,
        numbers={
            variant.label: {
                "valid_rmse": group.values("valid_rmse"),
                "test_rmse": group.values("test_rmse"),
                "best_epochs": [result.best_epoch for result in group.well.values()],
            }
            for variant, group in zip((*VARIANTS.values(), _WIDE), (*groups.values(), wide), strict=True)
        },
        draw=lambda figure: _draw(figure, groups),
        size=(8.0, 3.8),
    )


def _diminishing(more: Contrast | None, first: Contrast | None) -> Claim:
    claim = claim_of(
        "depth",
        "After that, adding more layers does help, with diminishing returns.",
        "12 layers less 6 layers",
        more,
    )
    if claim.verdict != "holds" or more is None or first is None or more.rmse.value > first.rmse.value:
        return claim
    evidence = f"{claim.evidence[:-1]}, no less than the first four layers gained."
    return replace(claim, verdict="does not hold", evidence=evidence)


def _measured(group: Group) -> list[str]:
    parameters = next((f"{result.parameters:,}" for result in group.well.values()), "–")
    if not group.well:
        return ["diverged" if group.results else "–", "–", parameters]
    valid = spread(group.mean("valid_rmse"), group.deviation("valid_rmse"))
    return [valid, spread(group.mean("test_rmse"), group.deviation("test_rmse")), parameters]


def _draw(figure: Any, groups: dict[int, Group]) -> None:
    panel = figure.subplots()
    there = {layers: group for layers, group in groups.items() if group.well}
    means = [group.mean("valid_rmse") for group in there.values()]
    deviations = [group.deviation("valid_rmse") or 0.0 for group in there.values()]
    panel.errorbar(list(there), means, yerr=deviations, fmt="o-", color=COLOURS[0], capsize=3, label="here")
    panel.plot(
        list(DEPTH), [rmse for rmse, _ in DEPTH.values()], "s--", color=GREY, label="the paper (Netflix full)"
    )
    panel_look(panel, xlabel="layers", ylabel="evaluation RMSE")
    panel.set_xticks(list(DEPTH))
    panel.legend(frameon=False)
