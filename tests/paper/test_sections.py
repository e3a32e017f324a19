"""Tables, figures and claims, from trainings whose outcome is planted."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from refeed.config import AutoencoderConfig
from refeed.paper import figure2, figure3, figure4, figure5, table1, table2, table3, table4
from refeed.paper.data import open_data
from refeed.paper.page import page
from refeed.paper.plan import Plan
from refeed.paper.report import EXPERIMENTS, summary_of
from refeed.paper.scheduler import Outcomes
from refeed.paper.section import Section, write_section
from refeed.paper.trial import Result, Run
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.split import split_by_time, write_split

EPOCHS = 10


class Truth(NamedTuple):
    """The planted outcome of a training."""

    rmse: float
    rise: float = 0.0
    train: float = 0.8
    diverged: bool = False


def plan_of(folder: Path, seeds: int = 1) -> Plan:
    """Two windows of small simulated ratings."""
    simulate_ratings(users=200, items=50, ratings=4_000, seed=1).save(folder / "store")
    return Plan(open_data(folder / "store", folder / "data"), ("3m", "full"), seeds)


def planted(
    plan: Plan, modules: Sequence[ModuleType], truth: Callable[[Run], Truth], folder: Path
) -> Outcomes:
    """Write what each training would have left; errors are normal, of the planted size."""
    results: dict[Run, Result] = {}
    for run in dict.fromkeys(run for module in modules for run in module.runs(plan)):
        of, there = truth(run), folder / f"run{len(results)}"
        there.mkdir(parents=True)
        valid = [of.rmse + 0.2 * (4 - epoch) for epoch in range(5)]
        valid += [of.rmse + of.rise * (epoch + 1) / 5 for epoch in range(5)]
        lines = [
            {
                "epoch": at + 1,
                "train_rmse": of.train + 0.1 * (EPOCHS - 1 - at),
                "valid_rmse": rmse,
                "seconds": 1,
            }
            for at, rmse in enumerate(valid)
        ]
        (there / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        losses = [f"{at // 20},{at % 20 + 1},{of.train**2 + 0.01 * (199 - at)}\n" for at in range(200)]
        (there / "batches.csv").write_text("".join(losses), "utf-8")
        noise = np.random.default_rng(run.seed).normal(size=500)
        errors = of.rmse * noise / np.sqrt(np.mean(noise**2))
        table = np.stack([np.ones(500), errors**2, np.abs(errors)], axis=1)
        np.savez(there / "errors.npz", users=np.arange(500), raw=table, clipped=table)
        results[run] = Result(
            "key", there, EPOCHS, 12.3, 456.7, "the loss became nan" if of.diverged else None
        )
        if not of.diverged:
            measured = {"test_rmse": of.rmse, "test_rmse_clipped": of.rmse, "parameters": 1234, "pairs": "p"}
            results[run] = Result("key", there, EPOCHS, 12.3, 456.7, None, 5, of.rmse, **measured)  # type: ignore[arg-type]
    return Outcomes(results)


def net(run: Run) -> AutoencoderConfig:
    assert isinstance(run.config.model, AutoencoderConfig)
    return run.config.model


def verdicts(section: Section) -> list[str]:
    return [claim.verdict for claim in section.claims]


def section_of(module: ModuleType, truth: Callable[[Run], Truth], folder: Path, seeds: int = 1) -> Section:
    plan = plan_of(folder, seeds)
    section: Section = module.section(plan, planted(plan, [module], truth, folder / "runs"))
    return section


def test_depth_that_helps_is_said_to_help(tmp_path: Path) -> None:
    section = section_of(table2, lambda run: Truth(1.0 + 0.18 / len(net(run).encoder)), tmp_path, seeds=2)
    assert verdicts(section) == ["holds", "holds", "holds"]
    assert section.table.rows[0][0] == "2"
    assert section.table.rows[0][1] == "1.1800 ± 0.0000"
    assert section.table.rows[0][4:] == ["1.146", "4,566,504"]


def test_depth_whose_returns_do_not_diminish_is_said_so(tmp_path: Path) -> None:
    section = section_of(table2, lambda run: Truth(1.2 - 0.02 * len(net(run).encoder)), tmp_path)
    assert verdicts(section) == ["holds", "does not hold", "holds"]
    assert section.claims[1].evidence.endswith("no less than the first four layers gained.")


def test_depth_that_harms_or_does_nothing_is_said_so(tmp_path: Path) -> None:
    harm = section_of(table2, lambda run: Truth(1.0 + 0.02 * len(net(run).encoder)), tmp_path / "harm")
    assert verdicts(harm) == ["does not hold", "does not hold", "does not hold"]
    same = section_of(table2, lambda _: Truth(1.0), tmp_path / "same")
    assert verdicts(same) == ["not settled", "not settled", "not settled"]


def test_a_missing_training_leaves_its_claim_unmeasured(tmp_path: Path) -> None:
    section = section_of(table2, lambda run: Truth(1.0, diverged=len(net(run).encoder) == 6), tmp_path)
    assert verdicts(section) == ["not settled", "not measured", "not settled"]
    assert section.table.rows[5][1] == "diverged"


@pytest.mark.parametrize(
    ("good", "verdict"),
    [(0.8, "holds"), (1.2, "does not hold"), (1.0, "not settled"), (0.999, "not settled")],
)
def test_activations_are_judged_by_the_training_rmse_of_all_pairs(
    good: float, verdict: str, tmp_path: Path
) -> None:
    def truth(run: Run) -> Truth:
        return Truth(1.0, train=good if net(run).activation in ("elu", "selu", "lrelu") else 1.0)

    section = section_of(figure2, truth, tmp_path)
    assert verdicts(section) == [verdict]
    curve = section.numbers["selu"]["batch_rmse"]
    assert curve[0] > curve[-1] == pytest.approx(good, abs=0.01)
    assert max(section.numbers["selu"]["batches"]) <= 200


def test_a_mini_batch_that_was_trained_on_twice_counts_once_and_a_torn_line_not_at_all(
    tmp_path: Path,
) -> None:
    (tmp_path / "batches.csv").write_text(
        "0,128,4.0\n0,256,9.0\n0,3840,384,1.0\n0,256,1.0\n1,128,0.25\n", "utf-8"
    )
    assert Result("key", tmp_path, 2, 1.0, 1.0).batch_rmse.tolist() == [2.0, 1.0, 0.5]


def test_activations_within_the_spread_of_seeds_are_not_told_apart(tmp_path: Path) -> None:
    def truth(run: Run) -> Truth:
        good = net(run).activation in ("elu", "selu", "lrelu")
        return Truth(1.0, train=0.99 - 0.001 * good + 0.05 * run.seed)

    assert verdicts(section_of(figure2, truth, tmp_path, seeds=2)) == ["not settled"]


def test_sigmoid_and_tanh_alone_have_a_linear_last_layer(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    linear = {net(run).activation for run in figure2.runs(plan) if not net(run).output_activation}
    assert linear == {"sigmoid", "tanh"}


def test_overfitting_is_a_rise_after_the_best_epoch(tmp_path: Path) -> None:
    def truth(run: Run) -> Truth:
        wide = net(run).encoder[0] >= 512
        return Truth(1.0, rise=(0.05 if net(run).tied else 0.2) * wide, train=0.8 if net(run).tied else 0.6)

    assert verdicts(section_of(figure3, truth, tmp_path / "a")) == ["holds", "holds"]
    worse = section_of(figure3, lambda run: Truth(1.0, 0.3 if net(run).tied else 0.1), tmp_path / "b")
    assert verdicts(worse) == ["holds", "does not hold"]
    flat = section_of(figure3, lambda _: Truth(1.0, 0.0001), tmp_path / "c")
    assert verdicts(flat) == ["does not hold", "not settled"]


def test_dropout_is_judged_by_overfitting_and_by_the_best_errors(tmp_path: Path) -> None:
    def truth(run: Run) -> Truth:
        return Truth(1.0 - 0.1 * net(run).dropout, rise=0.1 * (0.8 - net(run).dropout))

    assert verdicts(section_of(figure4, truth, tmp_path / "a")) == ["holds", "holds"]
    harmful = section_of(figure4, lambda run: Truth(1.0 + 0.1 * net(run).dropout), tmp_path / "b")
    assert verdicts(harmful) == ["does not hold", "does not hold"]


def test_re_feeding_as_in_the_paper(tmp_path: Path) -> None:
    def truth(run: Run) -> Truth:
        train = run.config.train
        if train.lr > 0.001:
            return Truth(0.9, diverged=not train.refeed)
        return Truth(1.0)

    section = section_of(figure5, truth, tmp_path)
    assert verdicts(section) == ["holds", "holds", "holds", "not measured"]
    assert section.table.rows[2][1] == "diverged"


def test_re_feeding_that_harms(tmp_path: Path) -> None:
    section = section_of(figure5, lambda run: Truth(1.0 + 0.1 * run.config.train.refeed), tmp_path)
    assert verdicts(section) == ["does not hold"] * 4


def test_table_3_compares_with_the_best_other_system_on_validation(tmp_path: Path) -> None:
    def truth(run: Run) -> Truth:
        if run.recipe.startswith("deeprec"):
            return Truth(0.9)
        return Truth({"mean": 1.1, "bias": 0.95}.get(run.recipe, 0.93))

    section = section_of(table3, truth, tmp_path, seeds=2)
    assert verdicts(section) == ["holds", "holds"]
    assert [row[0].split(":")[0] for row in section.table.rows[:1]] == ["3 months"]
    labels = [row[0] for row in section.table.rows]
    assert (
        labels.index("full: mean") < labels.index("full: bias") < labels.index("full: DeepRec, net of full")
    )
    row = section.table.rows[labels.index("full: DeepRec, net of full")]
    assert row[1:6] == ["0.9000 ± 0.0000", "0.9000 ± 0.0000", "0.9000 ± 0.0000", "–", "0.9099"]
    assert row[6:] == ["12.3", "457"]
    mean = section.table.rows[labels.index("full: mean")]
    assert mean[4].startswith("−0.2000 (−0.2")
    numbers = section.numbers["full"]["bias"]
    assert numbers["strict"]["test_rmse"] == [0.95, 0.95]


def test_table_3_names_what_is_missing_and_why(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    failing = {run: "needs an extra" for run in table3.runs(plan) if run.recipe == "bias"}
    outcomes = planted(plan, [table3], lambda _: Truth(1.0), tmp_path / "runs")
    kept = {run: result for run, result in outcomes.results.items() if run not in failing}
    section = table3.section(plan, Outcomes(kept, failing))
    assert "full: bias: needs an extra" in section.notes
    assert next(row for row in section.table.rows if row[0] == "full: bias")[1] == "failed"


def test_a_given_split_tries_all_nets_and_compares_the_small_with_the_large(tmp_path: Path) -> None:
    write_split(
        split_by_time(simulate_ratings(users=200, items=50, ratings=4_000, seed=1)), tmp_path / "split"
    )
    plan = Plan(open_data(tmp_path / "split", tmp_path / "data"), ("given",))
    outcomes = planted(
        plan, [table3, table4], lambda run: Truth(0.9 if "3m" in run.recipe else 1.0), tmp_path / "runs"
    )
    section = table4.section(plan, outcomes)
    assert [row[1] for row in section.table.rows] == [
        "n, 128, 256, 256, dp(0.65), 256, 128, n",
        "n, 256, 256, 512, dp(0.8), 256, 256, n",
        "n, 512, 512, 1024, dp(0.8), 512, 512, n",
    ]
    assert [row[-1] for row in section.table.rows] == ["0.9373", "0.9207", "0.9099"]
    assert verdicts(section) == ["holds"]
    assert verdicts(table3.section(plan, outcomes)) == ["holds"]


def test_table_1_of_other_ratings_has_shares_and_claims_nothing(tmp_path: Path) -> None:
    section = table1.section(plan_of(tmp_path), Outcomes({}))
    assert verdicts(section) == ["not measured"]
    assert all(row[3].endswith(" %") for row in section.table.rows)


class Page(HTMLParser):
    """What a page refers to, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_holds_every_table_and_picture_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    modules = list(EXPERIMENTS.values())
    outcomes = planted(plan, modules, lambda run: Truth(1.0 + 0.01 * run.seed, 0.1), tmp_path / "runs")
    sections = [module.section(plan, outcomes) for module in modules]
    for section in sections:
        write_section(section, tmp_path, Figure)
    claims = [claim for section in sections for claim in section.claims]
    text = page(
        sections,
        tmp_path,
        data="<ratings> & more",
        summary=summary_of(claims, 1, outcomes),
        facts={"seeds": 1},
        environment={"torch": "9.9"},
        command="refeed paper all --data x --out y",
    )
    read = Page(text)
    assert all(each.startswith(("#", "data:image/png;base64,")) for each in read.references)
    assert not read.tags & {"script", "link", "iframe"}
    assert not re.search(r"@import|url\(", text)
    pictures = [each for each in read.references if each.startswith("data:")]
    decoded = [base64.b64decode(each.split(",", 1)[1]) for each in pictures]
    assert decoded == [(tmp_path / f"{name}.png").read_bytes() for name in EXPERIMENTS]
    for section in sections:
        assert f"#{section.name}" in read.references
        assert all(cell in read.words for row in section.table.rows for cell in row)
        assert all(claim.says in read.words and claim.evidence[1:] in read.words for claim in section.claims)
    assert "on <ratings> & more" in read.words
    assert "Of 15 claims" in read.words
    assert "There is one seed only" in read.words


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_an_experiment_writes_json_markdown_and_a_picture_even_if_nothing_was_trained(
    name: str, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path)
    module = EXPERIMENTS[name]
    section = module.section(plan, Outcomes({}, dict.fromkeys(module.runs(plan), "it failed")))
    write_section(section, tmp_path, Figure)
    facts = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert facts["title"] == section.title
    assert [claim["verdict"] for claim in facts["claims"]] == verdicts(section)
    assert set(verdicts(section)) <= {"not measured"}
    markdown = (tmp_path / f"{name}.md").read_text("utf-8")
    assert markdown.startswith(f"# {section.title}\n")
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(section.table.rows)
    assert len({line.count("|") for line in lines}) == 1
    assert imread(tmp_path / f"{name}.png").std() > 0
