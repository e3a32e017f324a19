"""What a call costs in memory: its histories and pairs, not the catalogue."""

import tracemalloc
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from refeed.baselines.bias import BiasModel
from refeed.baselines.factors import FactorModel
from refeed.config import AutoencoderConfig, BiasConfig, Config, RidgeConfig
from refeed.config.baselines import SvdppConfig
from refeed.inference.recommender import Recommender
from refeed.model_items import Items
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.blend.model import Blend
from refeed.models.ensemble import RidgeEnsemble
from refeed.models.interface import Model
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

USERS, PER_USER = 50, 20
NETWORK = AutoencoderConfig.model_validate(
    {"encoder": [8, 8], "target": "residual", "output_activation": False, "rated_channel": True}
)


@cache
def ratings(items: int) -> Ratings:
    """20 of each user, of the first 1,000 items, however many there are."""
    rng = np.random.default_rng(0)
    return Ratings.from_arrays(
        np.repeat(np.arange(USERS), PER_USER),
        np.concatenate([np.sort(rng.permutation(1000)[:PER_USER]) for _ in range(USERS)]),
        rng.integers(1, 6, USERS * PER_USER).astype(np.float32),
        user_ids=Ids(f"u{n}" for n in range(USERS)),
        item_ids=Ids(f"i{n}" for n in range(items)),
    )


def ridge(items: int, width: int = 8, seed: int = 0) -> RidgeAutoencoder:
    model = RidgeAutoencoder(RidgeConfig(width=width), items)
    generator = torch.Generator().manual_seed(seed)
    for tensor in (model.vectors, model.bias, model.drift, model.implicit):
        tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    model.scale.fill_(0.5)
    model.doubt.fill_(0.2)
    model.quantiles.copy_(torch.linspace(-2, 2, len(model.quantiles)))
    return model


def network(items: int) -> Autoencoder:
    return Autoencoder(NETWORK, items, torch.Generator().manual_seed(0))


def blend(items: int) -> Blend:
    model = Blend([ridge(items)], [network(items)])
    model.weight.fill_(0.5)
    return model


KINDS: dict[str, Callable[[int], Model]] = {
    "ridge": ridge,
    "ensemble": lambda items: RidgeEnsemble([ridge(items, seed=seed) for seed in range(2)]),
    "autoencoder": network,
    "blend": blend,
    "bias": lambda items: BiasModel(BiasConfig(), items),
    "factors": lambda items: FactorModel(SvdppConfig(), USERS, items, 0),
}


RIDGE = Config(model=RidgeConfig(width=8))
CONFIGS = {
    "ridge": RIDGE,
    "ensemble": RIDGE,
    "blend": RIDGE,
    "autoencoder": Config(model=NETWORK),
    "bias": Config(model=BiasConfig()),
    "factors": Config(model=SvdppConfig()),
}


def recommender(kind: str, items: int, model: Model | None = None) -> Recommender:
    known = ratings(items)
    return Recommender(
        TrainedModel(
            config=CONFIGS[kind],
            model=model or KINDS[kind](items),
            items=Items.of(known),
            scale=known.scale,
            n_users=known.n_users,
            histories=known,
        )
    )


def taken(call: Callable[[], object]) -> int:
    """The bytes that a call asks for in all, given back or not: of torch, and numpy's peak."""
    call()  # what is made once and then kept
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    of_torch = sum(max(event.self_cpu_memory_usage, 0) for event in profiled.events())
    return int(of_torch + peak)


@pytest.mark.parametrize("kind", KINDS)
def test_predicting_a_pair_takes_the_same_whatever_the_number_of_items(kind: str) -> None:
    few, many = recommender(kind, 2_000), recommender(kind, 200_000)
    small, large = taken(lambda: few.predict("u3", "i7")), taken(lambda: many.predict("u3", "i7"))
    # Tables of 200,000 items would be megabytes more.
    assert large < small + 100_000


@pytest.mark.parametrize("kind", ["ridge", "ensemble"])
def test_explaining_a_pair_takes_the_same_whatever_the_number_of_items(kind: str) -> None:
    few, many = recommender(kind, 2_000), recommender(kind, 200_000)
    small, large = taken(lambda: few.explain("u3", "i7")), taken(lambda: many.explain("u3", "i7"))
    assert large < small + 100_000


@pytest.mark.parametrize("kind", ["ridge", "ensemble", "blend"])
def test_an_interval_takes_the_same_whatever_the_number_of_items(kind: str) -> None:
    few, many = recommender(kind, 2_000), recommender(kind, 200_000)
    small, large = (
        taken(lambda: few.intervals("u3", "i7", 0.9)),
        taken(lambda: many.intervals("u3", "i7", 0.9)),
    )
    assert large < small + 100_000


def largest(call: Callable[[], object]) -> int:
    """The most bytes of torch's that a call holds at the same time, and numpy's peak."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    changes = [
        (event.start_ns(), event.nbytes())
        for event in profiled.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    held = np.cumsum([bytes_ for _, bytes_ in sorted(changes)])
    return int(held.max(initial=0) + peak)


def test_a_cautious_list_of_200_000_items_takes_less_than_100_megabytes() -> None:
    one = recommender("ridge", 200_000, ridge(200_000, width=32))
    one.recommend("u0")  # the tables of ids
    assert largest(lambda: one.recommend("u1", cautious=1.0)) < 100e6


def test_predictive_std_is_that_of_each_pair_by_itself() -> None:
    known, model, rng = ratings(3_000), ridge(3_000), np.random.default_rng(1)
    # Somebody with more pairs than go into one product, some with few, in any order.
    users = rng.permutation(np.concatenate([np.full(9_000, 4), rng.integers(USERS, size=500)]))
    items = rng.integers(3_000, size=len(users))
    together = model.predictive_std(known, users, items)
    for at in [*range(20), *np.flatnonzero(users != 4)[:20].tolist()]:
        code = model.codes(known, users[at : at + 1])
        x = torch.cat([model.vectors[items[at]], model.scale[None]]).double()
        expected = np.sqrt(1 + float(x @ code.covariance[0].double() @ x))
        assert together[at] == pytest.approx(expected, rel=1e-6)
