"""Figure 3: one hidden layer of growing width, untied and tied: how it overfits."""

from typing import Any

from refeed.paper.drawing import curves, mean_curve, panel_look, sensible_limits
from refeed.paper.group import Group
from refeed.paper.overfitting import Rise, rise_of
from refeed.paper.plan import Plan, network
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table, number, spread
from refeed.paper.trial import Run

__all__ = ["NAME", "VARIANTS", "runs", "section"]

NAME = "figure3"

VARIANTS = {
    (width, tied): network(f"{width}, {'tied' if tied else 'untied'}", [width], tied=tied)
    for width in (128, 256, 512, 1024)
    for tied in (False, True)
}
"""(width, whether tied) → the network."""


def runs(plan: Plan) -> list[Run]:
    """A training for each width, untied and tied, and seed."""
    return [run for variant in VARIANTS.values() for run in plan.runs(variant)]


def section(plan: Plan, outcomes: Outcomes) -> Section:
    """Compare training and evaluation RMSE by epoch."""
    groups = {key: plan.group(outcomes, variant) for key, variant in VARIANTS.items()}
    rises = {key: rise_of(group) for key, group in groups.items()}
    rows = [_row(VARIANTS[key].label, groups[key], rises[key]) for key in VARIANTS]
    return Section(
        name=NAME,
        title="Figure 3: one hidden layer overfits",
        about=(
            "Autoencoders with one hidden layer; tied ones decode with the transposed weights of their "
            f"encoder ({plan.title(plan.window)})."
        ),
        table=Table(
            (
                "hidden units",
                "parameters",
                "training RMSE, last epoch",
                "evaluation RMSE, best",
                "evaluation RMSE, last epoch",
                "rise after the best",
            ),
            rows,
        ),
        notes=["The paper draws this without numbers; evaluation RMSE of one layer of 256 is above 1.0."],
        claims=[_overfits(rises), _tied(groups, rises)],
        numbers={
            VARIANTS[key].label: {
                "valid_rmse": group.values("valid_rmse"),
                "rise": rise.by_seed if (rise := rises[key]) else None,
                "train_curve": mean_curve(group, "train_rmse")[1],
                "valid_curve": mean_curve(group, "valid_rmse")[1],
            }
            for key, group in groups.items()
        },
        draw=lambda figure: _draw(figure, {VARIANTS[key].label: groups[key] for key in VARIANTS}),
        size=(10.0, 4.4),
    )


def _row(label: str, group: Group, rise: Rise | None) -> list[str]:
    parameters = next((f"{result.parameters:,}" for result in group.well.values()), "–")
    if rise is None:
        return [label, parameters, "–", "diverged" if group.results else "–", "–", "–"]
    return [
        label,
        parameters,
        number(mean_curve(group, "train_rmse")[1][-1]),
        spread(group.mean("valid_rmse"), group.deviation("valid_rmse")),
        number(mean_curve(group, "valid_rmse")[1][-1]),
        number(rise.mean),
    ]


def _overfits(rises: dict[tuple[int, bool], Rise | None]) -> Claim:
    says = "Single-layer autoencoders quickly overfit, even with as few as 512 hidden units."
    rise = rises[512, False]
    if rise is None:
        return Claim("overfitting", says, "not measured", "the training of 512 units is missing or diverged.")
    others = "; ".join(
        f"{width} units: {other}"
        for (width, tied), other in rises.items()
        if other and not tied and width != 512
    )
    return Claim("overfitting", says, rise.overfits, f"evaluation RMSE with 512 units: {rise}; {others}.")


def _tied(groups: dict[tuple[int, bool], Group], rises: dict[tuple[int, bool], Rise | None]) -> Claim:
    says = "Tying the decoder to the encoder reduces overfitting, but does not completely solve it."
    free, tied = rises[1024, False], rises[1024, True]
    if free is None or tied is None:
        return Claim("overfitting", says, "not measured", "a training of 1024 units is missing or diverged.")
    gaps = [_gap(groups[1024, each]) for each in (False, True)]
    evidence = (
        f"with 1024 units, untied: {free}, tied: {tied}; at the end evaluation RMSE lies {number(gaps[0])} "
        f"above training RMSE untied, {number(gaps[1])} tied."
    )
    if "holds" not in (free.overfits, tied.overfits):
        return Claim("overfitting", says, "not settled", evidence)
    reduced = tied.mean < free.mean and gaps[1] < gaps[0]
    return Claim("overfitting", says, "holds" if reduced else "does not hold", evidence)


def _gap(group: Group) -> float:
    return mean_curve(group, "valid_rmse")[1][-1] - mean_curve(group, "train_rmse")[1][-1]


def _draw(figure: Any, groups: dict[str, Group]) -> None:
    panels = figure.subplots(1, 2)
    for panel, key, title in zip(
        panels, ("train_rmse", "valid_rmse"), ("A: training RMSE", "B: evaluation RMSE"), strict=True
    ):
        curves(panel, groups, key, styles=("-", "--"))
        panel_look(panel, title=title, xlabel="epoch", ylabel="RMSE")
        sensible_limits(panel, [rmse for group in groups.values() for rmse in mean_curve(group, key)[1]])
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
