"""What the optimizers move, and how strongly it is pulled to nothing."""

import torch

from refeed.config import AutoencoderConfig, Config, TrainConfig
from refeed.models.autoencoder.learner import AutoencoderLearner
from refeed.models.autoencoder.network import Autoencoder
from refeed.optim.optimizer import make_optimizer
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
