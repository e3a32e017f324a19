"""What a training chooses at its start."""

from typing import Literal

import pytest
import torch

from refeed.config import AutoencoderConfig, TrainConfig
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.paths import choose_paths, takes_halves
from refeed.models.autoencoder.refeed_cost import Costs, collapses
from refeed.models.learner import Choices
from refeed.runtime import Runtime

RUNTIME = Runtime(torch.device("cpu"))


def linear_model(n_items: int = 40, width: int = 8) -> Autoencoder:
    return Autoencoder(AutoencoderConfig(encoder=[width], output_activation=False), n_items)


@pytest.mark.parametrize(
    ("precision", "half"), [("float32", None), ("float64", None), ("bf16", torch.bfloat16)]
)
def test_a_precision_that_is_set_is_taken_and_said(
    precision: Literal["float32", "float64", "bf16"], half: torch.dtype | None
) -> None:
    said: list[str] = []
    model = linear_model()
    choices: Choices = {}
    choose_paths(model, TrainConfig(precision=precision), choices, RUNTIME, said.append)
    assert model.operand_type == half
    assert choices["half"] is (half is not None)
    assert any(f"{precision}, as set" in line for line in said)


def test_auto_times_both_and_says_the_ratio() -> None:
    half, why = takes_halves("auto", torch.device("cpu"))
    ratio = float(why.split("bf16 is ")[1].split(" ×")[0])
    assert half == (ratio >= 1.3) or abs(ratio - 1.3) < 0.06  # the ratio is printed with one digit


def test_a_resumed_training_keeps_what_was_chosen() -> None:
    said: list[str] = []
    model = linear_model()
    choices: Choices = {"half": True, "collapse_from": 77}
    choose_paths(model, TrainConfig(precision="auto", refeed=1), choices, RUNTIME, said.append)
    assert (model.operand_type, model.collapse_from) == (torch.bfloat16, 77)
    assert not any("bf16 is" in line for line in said)


def test_large_products_are_timed_and_the_times_decide() -> None:
    said: list[str] = []
    model = linear_model(n_items=20_000, width=128)
    choices: Choices = {}
    choose_paths(model, TrainConfig(refeed=1), choices, RUNTIME, said.append)
    assert choices["collapse_from"] == model.collapse_from
    assert model.collapse_from is not None
    assert [collapses(model, model.collapse_from - 1), collapses(model, model.collapse_from)] == [False, True]
    assert any("ms a user dense" in line and "ms a batch collapsed" in line for line in said)


def test_small_products_are_not_timed() -> None:
    said: list[str] = []
    model = linear_model()
    choices: Choices = {}
    choose_paths(model, TrainConfig(refeed=1), choices, RUNTIME, said.append)
    assert model.collapse_from is None
    assert not any("collapsed" in line for line in said)


def test_the_collapsed_path_is_cheaper_once_the_users_outweigh_it() -> None:
    assert Costs(dense=0.002, collapsed=1.0).collapse_from == 500
    assert Costs(dense=0.002, collapsed=1.0005).collapse_from == 501
