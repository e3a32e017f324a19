"""How good lists are: ours and those of other libraries, on the same splits, each tuned on validation alone.

    python benchmarks/lists.py SPLIT… [--systems popular item-knn …] [--seeds 0 1 2] [--liked 4] [--out lists]

A SPLIT is a folder with train, test and, if it has one, valid: stores, or tables such as train.parquet.
Without validation a random tenth of train is held back (seed 0) to choose settings on, and the chosen ones
are trained on all of train. A test item is liked from --liked on; default: the rating at whose level the
upper 40 % of train begin, as nearly as there is one. Data without ratings has no liked items.

Every system goes through its grid below with the first seed, by nDCG@10 on validation, for liked and for all
items apart; then the best settings with every seed, on test. refeed's own systems choose on validation while
they are fitted; the three of the default recipe share one model, kept in --out, which the first one trains.
Every training is a process of its own, so that seconds and peak memory are its own, and its numbers are a
JSON file in --out: what is there is not run again.
Prints the grid with its validation figures, a markdown table for each split, and how each system compares
with the first one (paired bootstrap over users, first seed; positive: better than the first).
"""

import argparse
import itertools
import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from torch import Tensor

import refeed
from refeed.baselines.item_knn import ItemKNN
from refeed.baselines.list_peers import fit_bpr, fit_ials, fit_mult_vae, fit_rec_vae
from refeed.baselines.listing import Listing, score_blocks
from refeed.baselines.popular import Popular
from refeed.evaluation.ranking import RankingEvaluation, evaluate_ranking
from refeed.evaluation.relevance import relevant_items
from refeed.evaluation.significance import mean_differences
from refeed.inference.listing import listing_of
from refeed.inference.recommender import Recommender
from refeed.ratings.read import open_ratings
from refeed.ratings.store import Ratings

Setting = Mapping[str, Any]
KS = (10, 20, 100)
KINDS = ("liked", "all")
SHOWN = ("ndcg@10", "recall@20")


@dataclass(frozen=True)
class System:
    """A way to lists.

    Args:
        fit: (train, valid or None, seed, setting) → a model; valid is what settings are chosen on, for those
            that stop by it.
        grid: the settings to choose from, every combination; without any nothing is tuned here.
        recipe: of refeed's own systems, instead of `fit`: the recipe's settings over those of `default`.
        by: likewise: what lists are ranked by.
        seeded: whether the seed changes anything.
    """

    fit: Callable[[Ratings, Ratings | None, int, Setting], Listing] | None
    grid: Mapping[str, list[Any]]
    seeded: bool = True
    recipe: Mapping[str, Any] = field(default_factory=dict)
    by: str | None = None

    def settings(self) -> list[dict[str, Any]]:
        """All combinations of the grid."""
        return [
            dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())
        ]


SYSTEMS: dict[str, System] = {
    "default": System(None, {}),
    "default, by interaction": System(None, {}, by="interaction"),
    "default, by rating": System(None, {}, by="rating"),
    "linear": System(None, {}, seeded=False, recipe={"interactions.kind": "linear"}, by="interaction"),
    "local": System(None, {}, seeded=False, recipe={"interactions.kind": "local"}, by="interaction"),
    "popular": System(lambda train, _valid, _seed, _: Popular.fit(train), {}, seeded=False),
    "item-knn": System(
        lambda train, _valid, _seed, setting: ItemKNN.fit(train, **setting),
        {"k": [50, 100, 200], "shrink": [0.0, 10.0, 50.0]},
        seeded=False,
    ),
    "item-knn-bm25": System(
        lambda train, _valid, _seed, setting: ItemKNN.fit(train, weighting="bm25", **setting),
        {"k": [50, 100, 200]},
        seeded=False,
    ),
    "ials": System(
        lambda train, _valid, seed, setting: fit_ials(train, seed=seed, **setting),
        {"factors": [64, 128], "decay": [1.0, 10.0, 50.0], "weight": [2.0, 10.0]},
    ),
    "bpr": System(
        lambda train, _valid, seed, setting: fit_bpr(train, seed=seed, **setting),
        {"factors": [64], "decay": [0.001, 0.01], "epochs": [50, 200]},
    ),
    "mult-vae": System(
        lambda train, _valid, seed, setting: fit_mult_vae(train, seed=seed, **setting),
        {"beta": [0.2, 1.0], "epochs": [30, 100]},
    ),
    "rec-vae": System(
        lambda train, _valid, seed, setting: fit_rec_vae(train, seed=seed, **setting),
        {"gamma": [0.001, 0.005], "epochs": [20, 50]},
    ),
}


# ------------------------------------------------------------------ refeed's own


@dataclass(frozen=True)
class Ours:
    """A model of refeed as the benchmark wants it.

    Args:
        recommender: the model.
        by: what lists are ranked by; None: what the model ranks by when nobody says.
    """

    recommender: Recommender
    by: str | None

    def scores(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[Tensor, "users items"]:
        """What all items are ranked by (see `Listing`)."""
        way = listing_of(self.recommender.trained, by=self.by)
        return next(way.score_blocks(histories, users, max(len(users), 1)))


def fit_ours(
    system: System, kept: Path, train: Ratings, valid: Ratings | None, seed: int, _: Setting
) -> Ours:
    """Fit one of refeed's systems; the default recipe's model is kept in a folder, for all ways to rank.

    Without validation a random tenth of train chooses the settings of who takes what up, and the model with
    these is fitted on all of train.
    """
    if not system.recipe and kept.exists():
        return Ours(refeed.load(kept), system.by)
    recipe, settings = ("mean", {**_BARE, **system.recipe}) if system.recipe else ("default", {})
    if valid is None:
        held = np.random.default_rng(0).random(len(train)) < 0.1
        chosen = refeed.fit(
            train.select(~held), train.select(held), recipe=recipe, seed=seed, **settings
        ).trained.lists
        found = {} if chosen is None else chosen.config.model_dump()
        settings = settings | {f"interactions.{name}": value for name, value in found.items()}
    out = None if system.recipe else kept
    return Ours(refeed.fit(train, valid, recipe=recipe, seed=seed, out=out, **settings), system.by)


_BARE: Setting = {"lists.beta": 1.0, "lists.floor": 0.003}  # unused, and so not to be searched


# ------------------------------------------------------------------ data


def part(split: Path, name: str) -> Ratings | None:
    """One part of a split: a store, or the table beside its name; None if there is neither."""
    for path in (split / name, split / f"{name}.parquet"):
        if path.exists():
            return open_ratings(path)
    return None


def tuning_parts(split: Path) -> tuple[Ratings, Ratings]:
    """What to train on and to choose settings on."""
    train, valid = part(split, "train"), part(split, "valid")
    if train is None:
        raise SystemExit(f"{split} has no train, neither a store nor train.parquet")
    if valid is not None:
        return train, valid
    held = np.random.default_rng(0).random(len(train)) < 0.1
    return train.select(~held), train.select(held)


def liked_from(train: Ratings, asked: float | None) -> float | None:
    """From which rating on an item is liked: as asked, or where the upper 40 % of train begin."""
    if train.kind == "interactions":
        return None
    if asked is not None:
        return asked
    levels = np.unique(train.values)
    shares = [float(np.mean(train.values >= level)) for level in levels]
    return float(levels[int(np.argmin(np.abs(np.array(shares) - 0.4)))])


# ------------------------------------------------------------------ one run, in a process of its own


def run(
    split: Path, name: str, setting: Setting, seed: int, out: Path, *, tune: bool, liked: float | None
) -> None:
    """Train once, and measure on validation or on test; `out` gets the numbers, last."""
    system = SYSTEMS[name]
    if tune:
        train, held_out = tuning_parts(split)
        valid: Ratings | None = held_out
    else:
        given_train, test, valid = part(split, "train"), part(split, "test"), part(split, "valid")
        if given_train is None or test is None:
            raise SystemExit(f"{split} wants train and test")
        train, held_out = given_train, test
    started = time.perf_counter()
    kept = out.parent / f"{split.name} default {seed}"
    model = (system.fit or partial(fit_ours, system, kept))(train, valid, seed, setting)
    seconds = time.perf_counter() - started
    threshold = liked_from(train, liked)
    numbers: dict[str, Any] = {"split": split.name, "system": name, "setting": setting, "seed": seed}
    numbers |= {"fit_seconds": seconds}
    levels = {"all": None} if threshold is None else {"liked": threshold, "all": None}
    for kind, level in levels.items():
        started = time.perf_counter()
        result = measured(model, train, held_out, level)
        numbers[kind] = result.as_dict() | {"seconds": time.perf_counter() - started}
        if not tune:
            shown = {"values": result.evidence.values, "relevant": np.array(result.evidence.relevant)}
            np.savez(out.with_suffix(f".{kind}.npz"), allow_pickle=False, **shown)
    numbers["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    out.write_text(json.dumps(numbers) + "\n", encoding="utf-8")


def measured(model: Listing, train: Ratings, held_out: Ratings, liked: float | None) -> RankingEvaluation:
    """All metrics, over all unseen items."""
    return evaluate_ranking(score_blocks(model, train), relevant_items(train, held_out, liked=liked), ks=KS)


# ------------------------------------------------------------------ all runs


def numbers_of(
    asked: argparse.Namespace, split: Path, name: str, setting: Setting, seed: int, *, tune: bool
) -> Any:
    """The numbers of a run, which is made if it isn't there yet; None if it failed, with a line saying so."""
    asked.out.mkdir(parents=True, exist_ok=True)
    words = words_of(setting)
    out = asked.out / f"{split.name} {name} {words} {seed} {'valid' if tune else 'test'}.json"
    if not out.exists():
        one = json.dumps([name, setting, seed, str(out), tune])
        liked = [] if asked.liked is None else ["--liked", str(asked.liked)]
        done = subprocess.run([sys.executable, __file__, str(split), "--one", one, *liked], check=False)
        if done.returncode:
            print(f"  {name} {words}: failed, exit code {done.returncode}", flush=True)
            return None
    return json.loads(out.read_text(encoding="utf-8")) | {"file": str(out)}


def chosen(asked: argparse.Namespace, split: Path, name: str) -> dict[str, Setting]:
    """The best setting of the grid on validation for each kind of relevance; every figure is printed."""
    if not SYSTEMS[name].grid:
        return {kind: {} for kind in KINDS}
    figures: dict[str, list[tuple[float, Setting]]] = {}
    for setting in SYSTEMS[name].settings():
        numbers = numbers_of(asked, split, name, setting, asked.seeds[0], tune=True)
        found = {kind: numbers[kind]["ndcg@10"]["value"] for kind in KINDS if numbers and kind in numbers}
        for kind, figure in found.items():
            figures.setdefault(kind, []).append((figure, setting))
        shown = ", ".join(f"{kind} {figure:.4f}" for kind, figure in found.items())
        print(f"  {name:14} {words_of(setting):40} {shown}", flush=True)
    return {kind: max(found, key=lambda one: one[0])[1] for kind, found in figures.items()}


def words_of(setting: Setting) -> str:
    """A setting in words."""
    return " ".join(f"{key}={value}" for key, value in setting.items())


def row_of(asked: argparse.Namespace, split: Path, name: str) -> dict[str, list[Any]]:
    """Test numbers of the chosen settings, for each kind of relevance a list of one run a seed."""
    seeds = asked.seeds if SYSTEMS[name].seeded else asked.seeds[:1]
    rows: dict[str, list[Any]] = {}
    for kind, setting in chosen(asked, split, name).items():
        runs = [numbers_of(asked, split, name, setting, seed, tune=False) for seed in seeds]
        rows[kind] = [numbers for numbers in runs if numbers is not None and kind in numbers]
    return {kind: [numbers | {"kind": kind} for numbers in runs] for kind, runs in rows.items() if runs}


def table(split: Path, rows: Mapping[str, Mapping[str, list[Any]]]) -> str:
    """A markdown table of test figures: mean ± deviation over the seeds."""
    kinds = [kind for kind in KINDS if any(kind in row for row in rows.values())]
    titles = [f"{name}, {kind}" for kind in kinds for name in SHOWN]
    head = ["system", *titles, "setting", "seconds", "GB"]
    lines = [f"### {split.name}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, row in rows.items():
        cells = [cell(row.get(kind, []), metric) for kind in kinds for metric in SHOWN]
        runs = [numbers for of_kind in row.values() for numbers in of_kind]
        settings = " or ".join(dict.fromkeys(words_of(numbers["setting"]) for numbers in runs))
        seconds = np.mean([numbers["fit_seconds"] for numbers in runs])
        peak = max(numbers["peak_gb"] for numbers in runs)
        lines.append("| " + " | ".join([name, *cells, settings, f"{seconds:.1f}", f"{peak:.2f}"]) + " |")
    return "\n".join(lines)


def cell(runs: list[Any], metric: str) -> str:
    """One figure; the kind of relevance is that of the runs."""
    if not runs:
        return ""
    values = [numbers[numbers["kind"]][metric]["value"] for numbers in runs]
    return f"{np.mean(values):.4f}" + (f" ± {np.std(values):.4f}" if len(values) > 1 else "")


def comparisons(rows: Mapping[str, Mapping[str, list[Any]]]) -> list[str]:
    """Each system less the first one, for each kind of relevance: nDCG@10 over the same users."""
    lines, (first, *others) = [], list(rows)
    for kind in rows[first]:
        for other in others:
            if kind not in rows[other]:
                continue
            one, two = (evidence(rows[name][kind][0], kind) for name in (other, first))
            if one[1] != two[1]:
                lines.append(f"  {kind:6} {other} and {first} were asked for other lists")
                continue
            difference = mean_differences(one[0], two[0])[0]
            low, high = difference.low or 0.0, difference.high or 0.0
            lines.append(
                f"  {kind:6} {other} − {first}: nDCG@10 {difference.value:+.4f} ({low:+.4f} to {high:+.4f}), "
                f"p = {difference.p:.3f}"
            )
    return lines


def evidence(numbers: Any, kind: str) -> tuple[Any, str]:
    """nDCG@10 of each user, the first of the columns, and who they are."""
    with np.load(Path(numbers["file"]).with_suffix(f".{kind}.npz")) as saved:
        return saved["values"][:, :1], str(saved["relevant"])


def main() -> None:
    """Tune and test every system on every split."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", nargs="+", type=Path)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--liked", type=float)
    parser.add_argument("--out", type=Path, default=Path("lists"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        logging.basicConfig(level=logging.INFO, format="    %(message)s", stream=sys.stdout)
        name, setting, seed, out, tune = json.loads(asked.one)
        run(asked.splits[0], name, setting, seed, Path(out), tune=tune, liked=asked.liked)
        return
    tables = []
    for split in asked.splits:
        print(f"\n{split.name}: nDCG@10 on validation", flush=True)
        rows = {name: row_of(asked, split, name) for name in asked.systems}
        rows = {name: row for name, row in rows.items() if row}
        if rows:
            tables.append("\n".join([table(split, rows), "", *comparisons(rows)]))
            print(f"\n{tables[-1]}", flush=True)
    print("\n" + "\n\n".join(tables))


if __name__ == "__main__":
    main()
