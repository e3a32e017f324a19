"""What the optimizers move, and how strongly it is pulled to nothing."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from refeed.config import AutoencoderConfig, Config, TrainConfig
from refeed.models.autoencoder.learner import AutoencoderLearner
from refeed.models.autoencoder.network import Autoencoder
from refeed.optim.optimizer import make_optimizer, uncompiled
from refeed.ratings.sample import load_sample


def test_l2_is_divided_by_the_ratings_and_spares_the_biases() -> None:
    sample = load_sample()
    few = sample.select(sample.users < 5).compact()
    network = AutoencoderConfig(encoder=[3])
    config = Config(model=network, train=TrainConfig(optimizer="sgd", lr=0.5, momentum=0.0, l2=40.0))
    model = Autoencoder(network, few.n_items, torch.Generator().manual_seed(0))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(AutoencoderLearner(model, config, few).parameter_groups(), config.train)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        kept = 1 - 0.5 * 40 / len(few) if parameter.dim() > 1 else 1
        torch.testing.assert_close(parameter.detach(), kept * before[name])


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_an_uncompiled_optimizer_makes_pytorchs_own_updates(kind: type[torch.optim.Optimizer]) -> None:
    weights = [nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2)]
    makers: list[Callable[..., torch.optim.Optimizer]] = [kind, uncompiled(kind)]
    for weight, make in zip(weights, makers, strict=True):
        made = make([{"params": [weight]}], lr=0.1)
        for update in range(5):
            made.zero_grad()
            (weight - update).square().sum().backward()  # type: ignore[no-untyped-call]
            made.step()
    assert torch.equal(*weights)


def test_a_training_does_not_import_pytorchs_compiler() -> None:
    program = """
import sys
import refeed
from refeed.config import AutoencoderConfig, Config, MultinomialConfig, TrainConfig
from refeed.training.fit import fit
ids = {"user_ids": range(2), "item_ids": range(3)}
ratings = refeed.Ratings.from_arrays([0, 0, 1, 1], [0, 1, 0, 2], [1.0, 2.0, 3.0, 5.0], **ids)
for optimizer in ("sgd", "adam", "adamw"):
    train = TrainConfig(optimizer=optimizer, epochs=1)
    lists = MultinomialConfig(encoder=[2], epochs=1)
    fit(ratings, None, Config(model=AutoencoderConfig(encoder=[2]), train=train, interactions=lists))
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "False\n"
