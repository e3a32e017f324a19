"""A training of a report: its settings, its name, and the sizes that the paper states."""

from pathlib import Path

import pytest
import torch

from refeed.config import load_recipe
from refeed.factory import build_model
from refeed.paper import figure3, figure5, table2
from refeed.paper.data import open_data
from refeed.paper.plan import Variant
from refeed.paper.published import DEPTH
from refeed.paper.trial import Run
from refeed.ratings.simulate import simulate_ratings

ITEMS = 17_768


def parameters(variant: Variant, extra: tuple[str, ...] = ()) -> int:
    run = Run("full", variant.recipe, (*variant.settings, *extra))
    with torch.device("meta"):
        model = build_model(run.config, n_users=1, n_items=ITEMS)
    assert isinstance(model, torch.nn.Module)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("layers", list(DEPTH))
def test_the_nets_of_table_2_have_the_published_parameters(layers: int) -> None:
    assert parameters(table2.VARIANTS[layers]) == DEPTH[layers][1]


def test_one_layer_of_256_and_the_full_net_have_the_published_parameters() -> None:
    assert parameters(figure3.VARIANTS[256, False]) == 9_115_240
    both = figure5.VARIANTS["Baseline LR 0.005 RF"]
    assert parameters(both) == 19_788_136
    assert parameters(both, ("model.tied=true",)) == 9_904_488


def test_the_best_line_of_figure_5_is_the_recipe_of_the_full_window() -> None:
    variant = figure5.VARIANTS["Baseline LR 0.005 RF"]
    assert load_recipe(variant.recipe, variant.settings) == load_recipe("deeprec-netflix-full")


def test_fewer_epochs_move_the_steps_of_the_learning_rate_in_proportion() -> None:
    run = Run("full", "deeprec-netflix-full", epochs=50)
    assert run.config.train.epochs == 50
    assert run.config.train.milestones == [12, 18, 24, 33, 36]
    assert Run("full", "deeprec-netflix-full", epochs=2).config.train.milestones == [1, 1, 1, 1, 1]
    assert Run("full", "deeprec-netflix-full", epochs=200).config == load_recipe("deeprec-netflix-full")


def test_a_run_is_named_by_what_decides_its_outcome(tmp_path: Path) -> None:
    simulate_ratings(users=200, items=50, ratings=4_000, seed=1).save(tmp_path / "store")
    data = open_data(tmp_path / "store", tmp_path / "data")
    parts = data.parts("full", "paper", 0)
    run = Run("full", "deeprec-netflix-full", epochs=3)
    same = Run("full", "deeprec-netflix-full", ("train.lr=0.005",), epochs=3)
    assert run.name(parts) == same.name(parts)
    assert run.name(parts).startswith("full-paper-512x512x1024-selu-lr0.005-dp0.8-rf1-seed0-")
    others = [
        Run("full", "deeprec-netflix-full", seed=1, epochs=3).name(parts),
        Run("full", "deeprec-netflix-full", epochs=4).name(parts),
        Run("full", "deeprec-netflix-full", ("train.momentum=0.5",), epochs=3).name(parts),
        run.name(data.parts("full", "paper", 1)),
        run.name(data.parts("3m", "paper", 0)),
    ]
    assert len({run.name(parts), *others}) == 6


def test_fewer_epochs_do_not_lengthen_a_recipe_that_has_fewer() -> None:
    own = load_recipe("simple").train.epochs
    assert Run("full", "simple", epochs=own + 1).config.train.epochs == own
    assert Run("full", "simple", epochs=own - 1).config.train.epochs == own - 1
    assert Run("full", "bias", epochs=1).config.model == load_recipe("bias").model
