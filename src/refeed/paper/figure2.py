"""Figure 2: the training RMSE of eight activations, per mini-batch."""

from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float64

from refeed.paper.drawing import COLOURS, panel_look, sensible_limits
from refeed.paper.group import Group
from refeed.paper.overfitting import NOTICEABLE
from refeed.paper.plan import Plan, network
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table, Verdict, number, spread
from refeed.paper.trial import Run

__all__ = ["NAME", "runs", "section"]

NAME = "figure2"

_GOOD = ("selu", "elu", "lrelu")
_BAD = ("sigmoid", "tanh", "relu", "relu6", "swish")
_BOUNDED = ("sigmoid", "tanh")
_POINTS = 400

VARIANTS = {
    name: network(name.upper(), [128, 128], activation=name, linear_output=name in _BOUNDED)  # type: ignore[arg-type]
    for name in (*_GOOD, *_BAD)
}
"""4 layers of 128; ratings are up to 5, so sigmoid and tanh have a linear last layer (section 3.2)."""


def runs(plan: Plan) -> list[Run]:
    """A training for each activation and seed."""
    return [run for variant in VARIANTS.values() for run in plan.runs(variant)]


def section(plan: Plan, outcomes: Outcomes) -> Section:
    """Compare how far each activation gets on the training ratings."""
    groups = {name: plan.group(outcomes, variant) for name, variant in VARIANTS.items()}
    smooth = {name: _smooth(group) for name, group in groups.items()}
    last = {name: _last(group) for name, group in groups.items()}
    rows = [
        [
            VARIANTS[name].label,
            "good" if name in _GOOD else "bad",
            spread(*last[name]),
            spread(group.mean("valid_rmse"), group.deviation("valid_rmse")),
        ]
        for name, group in groups.items()
    ]
    return Section(
        name=NAME,
        title="Figure 2: activations",
        about=(
            "Training RMSE per mini-batch of an autoencoder of 4 layers of 128 units, by activation "
            f"({plan.title(plan.window)})."
        ),
        table=Table(
            ("activation", "the paper's verdict", "training RMSE, last epoch", "evaluation RMSE, best"), rows
        ),
        notes=[
            (
                "The paper draws this without numbers; the picture shows running means over a hundredth of "
                "the mini-batches of the whole training."
            ),
            plan.updates(),
        ],
        claims=[_claim(last)],
        numbers={
            name: {
                "train_rmse": last[name][0],
                "train_rmse_deviation": last[name][1],
                "valid_rmse": groups[name].values("valid_rmse"),
                "batches": [int(place) for place in smooth[name][0]],
                "batch_rmse": [round(float(value), 5) for value in smooth[name][1]],
            }
            for name in groups
        },
        draw=lambda figure: _draw(figure, smooth),
    )


def _last(group: Group) -> tuple[float | None, float | None]:
    """The training RMSE of the last epoch: mean and deviation over the seeds."""
    values = [result.metrics[-1]["train_rmse"] for result in group.well.values()]
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return (float(np.mean(values)) if values else None), deviation


def _smooth(group: Group) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
    """Mean over the seeds and running mean over the mini-batches: places and values."""
    curves = [result.batch_rmse for result in group.results.values() if len(result.batch_rmse)]
    if not curves:
        return np.empty(0), np.empty(0)
    length = min(map(len, curves))
    together = np.square([curve[:length] for curve in curves]).mean(axis=0)
    width = max(1, length // 100)
    running = np.sqrt(np.convolve(together, np.ones(width) / width, mode="valid"))
    shown = np.unique(np.linspace(0, len(running) - 1, min(_POINTS, len(running))).astype(np.int64))
    return shown + (width + 1) / 2, running[shown]


def _claim(last: dict[str, tuple[float | None, float | None]]) -> Claim:
    says = "ELU, SELU and LRELU perform much better than SIGMOID, RELU, RELU6, TANH and SWISH."
    means = {name: mean for name, (mean, _) in last.items() if mean is not None}
    pairs = [(good, bad) for good, bad in product(_GOOD, _BAD) if good in means and bad in means]
    if not pairs:
        return Claim("activations", says, "not measured", "no training ended.")
    # Two standard deviations of the seeds; with one seed nobody knows them, and tiny margins don't count.
    noise = max(NOTICEABLE, *(2 * (deviation or 0.0) for _, deviation in last.values()))
    right = [(good, bad) for good, bad in pairs if means[good] < means[bad] - noise]
    wrong = [(good, bad) for good, bad in pairs if means[good] > means[bad] + noise]
    verdict: Verdict = "not settled"
    if len(right) == len(pairs) == len(_GOOD) * len(_BAD):
        verdict = "holds"
    elif wrong:
        verdict = "does not hold"
    order = ", ".join(
        f"{VARIANTS[name].label} {means[name]:.4f}" for name in sorted(means, key=means.__getitem__)
    )
    evidence = (
        f"training RMSE of the last epoch, from the best: {order}. In {len(right)} of {len(pairs)} pairs the "
        f"activation that the paper calls good is better by more than {noise:.4f}, in {len(wrong)} it is "
        f"worse; between the worst of the good and the best of the bad lie {_gap(means)}."
    )
    return Claim("activations", says, verdict, evidence)


def _gap(means: dict[str, float]) -> str:
    good, bad = ([means[name] for name in names if name in means] for names in (_GOOD, _BAD))
    return number(max(good) - min(bad))


def _draw(
    figure: Any, smooth: dict[str, tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]]
) -> None:
    panel = figure.subplots()
    for at, (name, (places, values)) in enumerate(smooth.items()):
        style = "-" if name in _GOOD else "--"
        panel.plot(places, values, style, color=COLOURS[at], label=VARIANTS[name].label, linewidth=1.5)
    panel_look(panel, xlabel="mini-batch", ylabel="training RMSE")
    sensible_limits(panel, [float(value) for _, values in smooth.values() for value in values])
    panel.legend(ncols=2, frameon=False, title="solid: good, by the paper")
