"""Table 3: every system on every window, by the paper's protocol and by a strict one."""

from collections.abc import Mapping
from typing import Any

from refeed.paper.data import STRICT_SLICE, Protocol
from refeed.paper.drawing import COLOURS, GREY, panel_look
from refeed.paper.group import Contrast, Group, contrast, signed
from refeed.paper.plan import Plan
from refeed.paper.published import SYSTEMS
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Claim, Section, Table, claim_of, number, spread
from refeed.paper.systems import DEEPREC, System, missing, systems
from refeed.paper.trial import Run
from refeed.paper.windows import GIVEN

__all__ = ["NAME", "PROTOCOLS", "best_net", "protocol_notes", "runs", "section"]

NAME = "table3"

PROTOCOLS: tuple[Protocol, ...] = ("paper", "strict")

Row = tuple[System, Mapping[Protocol, Group]]


def runs(plan: Plan) -> list[Run]:
    """A training for each window, system, protocol and seed."""
    return [
        run
        for window in plan.windows
        for system in systems(window)
        for protocol in PROTOCOLS
        for run in plan.runs(system.variant, window, protocol)
    ]


def section(plan: Plan, outcomes: Outcomes) -> Section:
    """Compare the test RMSE of all systems, in each window from the worst to the best."""
    by_window = {window: _measured(plan, outcomes, window) for window in plan.windows}
    rows, claims, failures = [], [], []
    numbers: dict[str, Any] = {}
    for window, measured in by_window.items():
        net = best_net(measured)
        against = {
            system.variant.label: None
            if net is None
            else contrast(net[1]["paper"], groups["paper"], clipped=True)
            for system, groups in measured
        }
        for system, groups in measured:
            rows.append(_row(plan, window, system, groups, against[system.variant.label]))
            failures += [
                f"{plan.within(window, system.variant.label)}: {why}"
                for why in sorted({why for group in groups.values() for why in group.failed.values()})
            ]
        claims += _claims(plan, window, measured, net)
        numbers[window] = {system.variant.label: _numbers(groups) for system, groups in measured}
    lacking = [f"No recipe in this version of refeed: {', '.join(missing())}."] if missing() else []
    return Section(
        name=NAME,
        title="Table 3: all systems",
        about=(
            "Test RMSE of every system, trained and measured on the same ratings; mean ± standard deviation "
            f"over {plan.seeds} seed{'s' if plan.seeds > 1 else ''} and as many coins."
        ),
        table=Table(
            (
                "system",
                "test RMSE",
                "clipped",
                "strict protocol, clipped",
                f"{DEEPREC} less it, clipped",
                "the paper",
                "seconds",
                "peak MiB",
            ),
            rows,
        ),
        notes=[*protocol_notes(plan), *lacking, *failures],
        claims=claims,
        numbers=numbers,
        draw=lambda figure: _draw(figure, plan, by_window),
        size=(9.0, 1.2 + 0.32 * sum(map(len, by_window.values())) + 0.5 * len(by_window)),
    )


def best_net(measured: list[Row]) -> Row | None:
    """Of DeepRec's nets the one that is best on validation."""
    there = [row for row in measured if row[0].paper == DEEPREC and row[1]["paper"].well]
    return min(there, key=lambda row: row[1]["paper"].mean("valid_rmse") or 0.0, default=None)


def protocol_notes(plan: Plan) -> list[str]:
    """What a reader must know of the two protocols, and of the columns."""
    chosen_on = (
        f"the last {STRICT_SLICE:.0%} of the training ratings by time"
        if plan.data.has_times
        else f"a random {STRICT_SLICE:.0%} of the training ratings, as these have no times"
    )
    return [
        (
            "The paper's protocol chooses the checkpoint on a random half of the test interval and measures "
            f"on the other half. The strict one chooses it on {chosen_on}, which the training then doesn't "
            "see; it is measured on the same test ratings."
        ),
        "The paper's numbers are of predictions that are not clipped; clipped means to the ratings' scale.",
        "Seconds are of training alone, peak memory is of the process that trained; means over the seeds.",
        "Differences are paired, on the same test ratings: 95 % intervals by a bootstrap over users.",
    ]


def _measured(plan: Plan, outcomes: Outcomes, window: str) -> list[Row]:
    rows = [
        (
            system,
            {protocol: plan.group(outcomes, system.variant, window, protocol) for protocol in PROTOCOLS},
        )
        for system in systems(window)
    ]
    return sorted(rows, key=lambda row: -(row[1]["paper"].mean("test_rmse_clipped") or float("inf")))


def _row(
    plan: Plan, window: str, system: System, groups: Mapping[Protocol, Group], against: Contrast | None
) -> list[str]:
    group, strict = groups["paper"], groups["strict"]
    published = _published(window, system)
    label = plan.within(window, system.variant.label) + f" ({system.paper})" * _renamed(system)
    if not group.well:
        why = "diverged" if group.results else "failed"
        return [label, why, "–", "–", "–", number(published), "–", "–"]
    difference = "–" if against is None or not any(against.by_seed) else _interval(against)
    return [
        label,
        spread(group.mean("test_rmse"), group.deviation("test_rmse")),
        spread(group.mean("test_rmse_clipped"), group.deviation("test_rmse_clipped")),
        spread(strict.mean("test_rmse_clipped"), strict.deviation("test_rmse_clipped")),
        difference,
        number(published),
        number(group.mean("seconds"), 1),
        number(group.mean("peak_mib"), 0),
    ]


def _published(window: str, system: System) -> float | None:
    """The paper's number; for a given split, that of Netflix full."""
    return SYSTEMS["full" if window == GIVEN.name else window].get(system.paper or "")


def _renamed(system: System) -> bool:
    return system.paper is not None and system.paper != DEEPREC


def _interval(difference: Contrast) -> str:
    low, high = difference.rmse.low, difference.rmse.high
    if low is None or high is None:
        return signed(difference.rmse.value)
    return f"{signed(difference.rmse.value)} ({signed(low)} to {signed(high)})"


def _numbers(groups: Mapping[Protocol, Group]) -> dict[str, Any]:
    return {
        protocol: {
            "test_rmse": group.values("test_rmse"),
            "test_rmse_clipped": group.values("test_rmse_clipped"),
            "valid_rmse": group.values("valid_rmse"),
            "seconds": group.values("seconds"),
            "peak_mib": group.values("peak_mib"),
            "cold": [result.cold for result in group.well.values()],
            "failed": list(group.failed.values()),
            "diverged": [result.diverged for result in group.results.values() if result.diverged],
        }
        for protocol, group in groups.items()
    }


def _claims(plan: Plan, window: str, measured: list[Row], net: Row | None) -> list[Claim]:
    says = f"{DEEPREC} is better than the other systems ({plan.title(window)})."
    if net is None:
        return [Claim("comparison", says, "not measured", f"{DEEPREC}'s training is missing or diverged.")]
    others = [
        (system.variant.label, groups["paper"])
        for system, groups in measured
        if system.paper != DEEPREC and groups["paper"].well
    ]
    if not others:
        return [Claim("comparison", says, "not measured", "no other system was trained.")]
    label, best = min(others, key=lambda each: each[1].mean("valid_rmse") or 0.0)
    what = f"{net[0].variant.label} less {label}, the best of the others on validation, clipped"
    return [claim_of("comparison", says, what, contrast(net[1]["paper"], best, clipped=True))]


def _draw(figure: Any, plan: Plan, by_window: Mapping[str, list[Row]]) -> None:
    heights = [len(rows) + 1.2 for rows in by_window.values()]
    panels = figure.subplots(len(by_window), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for panel, (window, rows) in zip(panels, by_window.items(), strict=True):
        there = [(system, groups) for system, groups in rows if groups["paper"].well]
        for at, (system, groups) in enumerate(there):
            estimate = groups["paper"].interval()
            if estimate is not None:
                ends = [estimate.low or estimate.value, estimate.high or estimate.value]
                panel.plot(ends, [at, at], color=COLOURS[0], linewidth=2.5, alpha=0.4)
                panel.plot(estimate.value, at, "o", color=COLOURS[0])
            strict = groups["strict"].mean("test_rmse_clipped")
            if strict is not None:
                panel.plot(strict, at, "D", color=COLOURS[1], markersize=5)
            published = _published(window, system)
            if published is not None:
                panel.plot(published, at, "s", color=GREY, markersize=6, fillstyle="none")
        panel.set_yticks(range(len(there)), [system.variant.label for system, _ in there])
        panel.set_ylim(len(there) - 0.4, -0.6)
        panel_look(panel, title=plan.title(window))
    panels[-1].set_xlabel("test RMSE, clipped")
    marks = [
        panels[0].plot(
            [], [], "o-", color=COLOURS[0], label="the paper's protocol, 95 % interval over users"
        ),
        panels[0].plot([], [], "D", color=COLOURS[1], markersize=5, label="strict protocol"),
        panels[0].plot([], [], "s", color=GREY, fillstyle="none", label="the paper, on Netflix"),
    ]
    handles = [mark for (mark,) in marks]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
