"""Figure 5: learning rate and dense re-feeding."""

from typing import Any

from refeed.paper import figure4
from refeed.paper.drawing import curves, mean_curve, panel_look, sensible_limits
from refeed.paper.group import Group, contrast
from refeed.paper.plan import Plan, network
from refeed.paper.published import REFEEDING
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table, claim_of, number, spread
from refeed.paper.trial import Run

__all__ = ["NAME", "VARIANTS", "runs", "section"]

NAME = "figure5"

_LABELS = ("Baseline", "Baseline RF", "Baseline LR 0.005", "Baseline LR 0.005 RF")
VARIANTS = {
    _LABELS[0]: figure4.VARIANTS[0.8],
    _LABELS[1]: network(_LABELS[1], [512, 512, 1024], dropout=0.8, refeed=1),
    _LABELS[2]: network(_LABELS[2], [512, 512, 1024], dropout=0.8, lr=0.005),
    _LABELS[3]: network(_LABELS[3], [512, 512, 1024], dropout=0.8, lr=0.005, refeed=1),
}
"""The paper's label → n, 512, 512, 1024, dp(0.8), 512, 512, n with that learning rate and re-feeding."""


def runs(plan: Plan) -> list[Run]:
    """A training for each learning rate, with and without re-feeding, and seed."""
    return [run for variant in VARIANTS.values() for run in plan.runs(variant)]


def section(plan: Plan, outcomes: Outcomes) -> Section:
    """Compare the evaluation RMSE by epoch."""
    groups = {label: plan.group(outcomes, variant) for label, variant in VARIANTS.items()}
    base, fed, fast, both = groups.values()
    claims = [
        claim_of(
            "re-feeding",
            "Output re-feeding by itself does not have a significant impact.",
            "with re-feeding less without, at 0.001",
            contrast(fed, base),
            expected=0,
        ),
        _diverges(fast, base),
        claim_of(
            "re-feeding",
            "Re-feeding with the higher learning rate significantly improves the model.",
            "0.005 with re-feeding less the baseline",
            contrast(both, base),
        ),
        claim_of(
            "re-feeding",
            "It is the re-feeding that makes the higher learning rate work.",
            "0.005 with re-feeding less 0.005 without",
            contrast(both, fast),
        ),
    ]
    rows = [[label, *_measured(group), number(REFEEDING.get(label))] for label, group in groups.items()]
    return Section(
        name=NAME,
        title="Figure 5: re-feeding",
        about=(
            "Evaluation RMSE by epoch of n, 512, 512, 1024, dp(0.8), 512, 512, n at the learning rates 0.001 "
            f"and 0.005, with one dense re-feed a batch and without ({plan.title(plan.window)})."
        ),
        table=Table(
            ("training", "evaluation RMSE, best", "best epoch", "test RMSE", "the paper: evaluation RMSE"),
            rows,
        ),
        notes=[
            (
                "The learning rates fall by half at 24, 36, 48, 66 and 72 % of the training, as in the "
                "published software; the paper doesn't mention it."
            ),
            plan.updates(),
        ],
        claims=claims,
        numbers={
            label: {
                "valid_rmse": group.values("valid_rmse"),
                "test_rmse": group.values("test_rmse"),
                "diverged": [result.diverged for result in group.results.values() if result.diverged],
                "valid_curve": mean_curve(group, "valid_rmse")[1],
            }
            for label, group in groups.items()
        },
        draw=lambda figure: _draw(figure, groups),
    )


def _measured(group: Group) -> list[str]:
    if not group.well:
        return ["diverged" if group.results else "–", "–", "–"]
    epochs = "/".join(str(result.best_epoch) for result in group.well.values())
    diverged = len(group.results) - len(group.well)
    valid = spread(group.mean("valid_rmse"), group.deviation("valid_rmse"))
    test = spread(group.mean("test_rmse"), group.deviation("test_rmse"))
    return [f"{valid} ({diverged} more diverged)" if diverged else valid, epochs, test]


def _diverges(fast: Group, base: Group) -> Claim:
    says = "With the higher learning rate, but without re-feeding, the model starts to diverge."
    diverged = len(fast.results) - len(fast.well)
    if diverged:
        evidence = (
            f"{diverged} of {len(fast.results)} trainings at 0.005 ended with a loss that is no number."
        )
        return Claim("re-feeding", says, "holds", evidence)
    difference = contrast(fast, base)
    if difference is None:
        return Claim("re-feeding", says, "not measured", "a training is missing or diverged.")
    evidence = f"0.005 less 0.001, both without re-feeding: {difference} in test RMSE; neither diverged."
    return Claim("re-feeding", says, "holds" if difference.sign > 0 else "does not hold", evidence)


def _draw(figure: Any, groups: dict[str, Group]) -> None:
    panel = figure.subplots()
    curves(panel, groups, "valid_rmse")
    panel_look(panel, xlabel="epoch", ylabel="evaluation RMSE")
    sensible_limits(panel, [rmse for group in groups.values() for rmse in mean_curve(group, "valid_rmse")[1]])
    panel.legend(frameon=False)
