"""`refeed paper`: the paper's tables and figures on any ratings, beside the numbers that it published.

DIR/data/          the ratings, cut into windows (see `data`)
DIR/runs/NAME/     a model folder for each training, with result.json, errors.npz and batches.csv
DIR/NAME.json      the numbers of a table or figure
DIR/NAME.md        the same as a Markdown table, with notes and claims
DIR/NAME.png       and as a picture
DIR/report.html    all of them on one page
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from refeed.errors import ConfigError, DataError
from refeed.files import atomic_file
from refeed.paper import figure2, figure3, figure4, figure5, table1, table2, table3, table4
from refeed.paper.data import Data, open_data
from refeed.paper.page import page
from refeed.paper.plan import Plan
from refeed.paper.scheduler import Outcomes, carry_out
from refeed.paper.section import Claim, Section, write_section
from refeed.plots import figure_class

__all__ = ["EXPERIMENTS", "Report", "make_report"]

EXPERIMENTS: dict[str, ModuleType] = {
    module.NAME: module for module in (table1, figure2, figure3, table2, figure4, figure5, table3, table4)
}
"""Name → the module with its recipe (`runs`) and its renderer (`section`), in the paper's order."""


@dataclass(frozen=True)
class Report:
    """What was made.

    Args:
        sections: of each experiment.
        page: the HTML, if all experiments were asked for.
        summary: which claims hold.
        failed: a line for each training that gave nothing.
    """

    sections: Sequence[Section]
    page: Path | None
    summary: str
    failed: Sequence[str]

    def __str__(self) -> str:
        """For people."""
        texts = [f"{self.summary}\n"] if self.page else [section.markdown() for section in self.sections]
        failed = [f"{len(self.failed)} trainings gave nothing; the same command tries them again:"]
        failed += [f"  {line}" for line in self.failed]
        return "\n".join([*texts, *(failed if self.failed else []), *([str(self.page)] if self.page else [])])


def make_report(
    what: str,
    path: Path,
    out: Path,
    *,
    windows: Sequence[str] = (),
    scale: float = 1.0,
    seeds: int = 1,
    epochs: int | None = None,
    jobs: int = 1,
    say: Callable[[str], None] = print,
) -> Report:
    """Train what is missing, and write the tables and figures.

    Args:
        what: one of `EXPERIMENTS`, or "all" for all of them on one page.
        path: the ratings; see `open_data`.
        out: the folder to write; what was done in it before is not done again.
        windows: of "3m", "6m", "1y", "full"; none: all for tables 1, 3 and 4. The others are made on one:
            the full window if it is among them, else the first.
        scale: share of the users to keep.
        seeds: seeds for each training, each with its own coin.
        epochs: at most so many; None: as the recipes say.
        jobs: trainings at a time.
        say: hears the plan and the progress.

    Raises:
        ConfigError: a number is out of range, no such window, or `out` was begun with other ratings.
        DataError: the ratings can't be read or split.
        UserError: matplotlib is not installed.
        KeyboardInterrupt: the user stopped it; what was done is saved.
    """
    began = time.monotonic()
    figures = figure_class()
    _check(what, seeds=seeds, epochs=epochs, jobs=jobs)
    modules = list(EXPERIMENTS.values()) if what == "all" else [EXPERIMENTS[what]]
    say(f"reading {path.name}")
    data = open_data(path, out / "data", scale)
    _check_windows(data, windows)
    trains = any(module is not table1 for module in modules)
    there = tuple(windows or data.windows)
    plan = Plan(data, _usable(data, there, say) if trains else there, seeds, epochs)
    runs = [run for module in modules for run in module.runs(plan)]
    outcomes = carry_out(runs, plan.data, out / "runs", jobs=jobs, say=say) if runs else Outcomes({})
    sections: list[Section] = [module.section(plan, outcomes) for module in modules]
    for section in sections:
        write_section(section, out, figures)
    summary = summary_of([claim for section in sections for claim in section.claims], seeds, outcomes)
    written = None
    if what == "all":
        words = {"--data": path.name, "--scale": f"{scale:g}", "--seeds": seeds, "--jobs": jobs}
        options = [f"{name} {value}" for name, value in words.items() if value not in (1, "1")]
        options += [f"--window {window}" for window in windows]
        options += [] if epochs is None else [f"--epochs {epochs}"]
        command = " ".join(["refeed paper all", *options, f"--out {out.name}"])
        written = _write_page(plan, outcomes, sections, out, summary, command, time.monotonic() - began)
    failed = [f"{run.window}, {run.recipe}, {run.protocol}: {why}" for run, why in outcomes.failed.items()]
    return Report(sections, written, summary, list(dict.fromkeys(failed)))


def summary_of(claims: Sequence[Claim], seeds: int, outcomes: Outcomes) -> str:
    """Which claims hold, in a paragraph, and how far to trust it."""
    by_topic: dict[str, list[Claim]] = {}
    for claim in claims:
        by_topic.setdefault(claim.topic, []).append(claim)
    sentences = [f"Of {len(claims)} claims of the paper's, on these ratings {_counted(claims)}."]
    sentences += [f"{topic.capitalize()}: {_counted(some)}." for topic, some in by_topic.items()]
    sentences.append(
        "A claim about a difference in error counts as settled if the 95 % interval over users leaves out 0 "
        "and all seeds agree in its sign."
    )
    trained = {result.folder: result for result in outcomes.results.values() if result.epochs > 1}
    unfinished = sum(result.best_epoch == result.epochs for result in trained.values())
    if unfinished:
        sentences.append(
            f"{unfinished} of {len(trained)} trainings were best in their last epoch: with more epochs, what "
            "rests on them may come out otherwise."
        )
    if seeds == 1:
        sentences.append("There is one seed only, so what another seed would change is not in the intervals.")
    return " ".join(sentences)


def _counted(claims: Sequence[Claim]) -> str:
    verdicts = [claim.verdict for claim in claims]
    words = {
        "holds": ("holds", "hold"),
        "does not hold": ("does not hold", "do not hold"),
        "not settled": ("is not settled", "are not settled"),
        "not measured": ("was not measured", "were not measured"),
    }
    counts = {verdict: verdicts.count(verdict) for verdict in words if verdict in verdicts}
    return ", ".join(f"{count} {words[verdict][count > 1]}" for verdict, count in counts.items())


def _check(what: str, *, seeds: int, epochs: int | None, jobs: int) -> None:
    if what != "all" and what not in EXPERIMENTS:
        raise ConfigError(f"there is no {what!r} in the paper; give one of {', '.join(EXPERIMENTS)}, or all")
    for name, value in (("seeds", seeds), ("epochs", epochs), ("jobs", jobs)):
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}; give a whole number from 1 on")


def _check_windows(data: Data, wanted: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in data.windows]
    if unknown or not data.windows:
        raise ConfigError(
            f"there is no window {(unknown or ['full'])[0]!r} in these ratings; there are "
            f"{', '.join(data.windows) or 'none'}"
        )


def _usable(data: Data, windows: Sequence[str], say: Callable[[str], None]) -> tuple[str, ...]:
    """The windows that hold enough to train and test on, cut out."""
    usable = []
    for name in windows:
        try:
            data.parts(name, "strict", 0)
        except DataError as error:
            say(f"window {name} is left out: {error}")
        else:
            usable.append(name)
    if not usable:
        raise DataError("none of the windows holds enough ratings to train and test on; give more ratings")
    return tuple(usable)


def _write_page(
    plan: Plan,
    outcomes: Outcomes,
    sections: Sequence[Section],
    out: Path,
    summary: str,
    command: str,
    elapsed: float,
) -> Path:
    from refeed.doctor import environment  # noqa: PLC0415 - torch takes seconds

    folders = {result.folder: result.seconds for result in outcomes.results.values()}
    facts = {
        "windows": "; ".join(f"{plan.title(name)}: {plan.data.windows[name].how}" for name in plan.windows),
        "seeds and coins": plan.seeds,
        "epochs": "as in the recipes" if plan.epochs is None else f"at most {plan.epochs}",
        "trainings": len(folders),
        "seconds of training": f"{sum(folders.values()):,.0f}",
        "seconds of this command": f"{elapsed:,.0f}",
    }
    text = page(
        sections,
        out,
        data=plan.data.source,
        summary=summary,
        facts=facts,
        environment=environment(),
        command=command,
    )
    with atomic_file(out / "report.html") as beside:
        beside.write_text(text, encoding="utf-8")
    return out / "report.html"
