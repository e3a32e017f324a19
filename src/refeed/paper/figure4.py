"""Figure 4: dropout against overfitting."""

from typing import Any

from refeed.paper.drawing import curves, mean_curve, panel_look, sensible_limits
from refeed.paper.group import Group, contrast
from refeed.paper.overfitting import Rise, rise_of
from refeed.paper.plan import Plan, network
from refeed.paper.published import DROPOUT
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table, claim_of, number, spread
from refeed.paper.trial import Run

__all__ = ["NAME", "VARIANTS", "runs", "section"]

NAME = "figure4"

VARIANTS = {
    dropout: network(f"drop probability {dropout:g}", [512, 512, 1024], dropout=dropout)
    for dropout in (0.0, 0.5, 0.65, 0.8)
}
"""Drop probability of the code → n, 512, 512, 1024, 512, 512, n."""


def runs(plan: Plan) -> list[Run]:
    """A training for each drop probability and seed."""
    return [run for variant in VARIANTS.values() for run in plan.runs(variant)]


def section(plan: Plan, outcomes: Outcomes) -> Section:
    """Compare the evaluation RMSE by epoch."""
    groups = {dropout: plan.group(outcomes, variant) for dropout, variant in VARIANTS.items()}
    rises = {dropout: rise_of(group) for dropout, group in groups.items()}
    rows = [_row(dropout, group, rises[dropout]) for dropout, group in groups.items()]
    claims = [
        _overfits(rises),
        claim_of(
            "dropout",
            "Very high drop probabilities, such as 0.8, turn out to be the best.",
            "drop probability 0.8 less none",
            contrast(groups[0.8], groups[0.0]),
        ),
    ]
    return Section(
        name=NAME,
        title="Figure 4: dropout",
        about=(
            "Evaluation RMSE by epoch of n, 512, 512, 1024, 512, 512, n with dropout on the code "
            f"({plan.title(plan.window)})."
        ),
        table=Table(
            (
                "drop probability",
                "evaluation RMSE, best",
                "rise after the best",
                "test RMSE",
                "the paper: evaluation RMSE",
            ),
            rows,
        ),
        notes=[],
        claims=claims,
        numbers={
            f"{dropout:g}": {
                "valid_rmse": group.values("valid_rmse"),
                "test_rmse": group.values("test_rmse"),
                "rise": rise.by_seed if (rise := rises[dropout]) else None,
                "valid_curve": mean_curve(group, "valid_rmse")[1],
            }
            for dropout, group in groups.items()
        },
        draw=lambda figure: _draw(figure, {VARIANTS[key].label: group for key, group in groups.items()}),
    )


def _row(dropout: float, group: Group, rise: Rise | None) -> list[str]:
    published = number(DROPOUT.get(dropout))
    if rise is None:
        return [f"{dropout:g}", "diverged" if group.results else "–", "–", "–", published]
    valid = spread(group.mean("valid_rmse"), group.deviation("valid_rmse"))
    test = spread(group.mean("test_rmse"), group.deviation("test_rmse"))
    return [f"{dropout:g}", valid, number(rise.mean), test, published]


def _overfits(rises: dict[float, Rise | None]) -> Claim:
    says = "Without dropout the model clearly overfits; with 0.5 it does too, but more slowly."
    none, half = rises[0.0], rises[0.5]
    if none is None or half is None:
        return Claim("dropout", says, "not measured", "a training is missing or diverged.")
    verdict = none.overfits
    if verdict == "holds" and not half.mean < none.mean:
        verdict = "does not hold"
    told = "; ".join(f"with {dropout:g}: {rise}" for dropout, rise in rises.items() if rise is not None)
    return Claim("dropout", says, verdict, f"evaluation RMSE {told}.")


def _draw(figure: Any, groups: dict[str, Group]) -> None:
    panel = figure.subplots()
    curves(panel, groups, "valid_rmse")
    panel_look(panel, xlabel="epoch", ylabel="evaluation RMSE")
    sensible_limits(panel, [rmse for group in groups.values() for rmse in mean_curve(group, "valid_rmse")[1]])
    panel.legend(frameon=False)
