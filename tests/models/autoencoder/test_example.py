"""Hiding ratings from the input."""

import numpy as np
import torch

from refeed.config import AutoencoderConfig, Config, TrainConfig
from refeed.models.autoencoder.example import corrupted
from refeed.models.autoencoder.learner import AutoencoderLearner
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.biases import Biases
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime
from refeed.training.batches import Batches


def ratings() -> Ratings:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.5)
    return Ratings.from_arrays(
        users,
        items,
        rng.integers(1, 6, len(users)).astype(float),
        user_ids=Ids(f"u{u}" for u in range(30)),
        item_ids=Ids(f"i{i}" for i in range(20)),
    )


def residual_model(known: Ratings) -> Autoencoder:
    config = AutoencoderConfig(encoder=[4], target="residual", bias_damping=[5.0, 2.0])
    model = Autoencoder(config, known.n_items, torch.Generator().manual_seed(0)).double()
    model.fit_biases(known, None)
    return model


def test_the_input_shows_what_is_kept_and_the_targets_are_all_against_biases_of_the_kept() -> None:
    known = ratings()
    users = np.array([7, 2])
    _, items, values = known.rows(users)
    counts = known.user_counts[users]
    kept = np.random.default_rng(1).random(len(items)) < 0.5
    example = corrupted(residual_model(known), known, users, kept, kept_weight=0.25)

    biases = Biases.fit(known, user_damping=5.0, item_damping=2.0)
    expected = np.empty(len(items))
    for start, stop in ((0, counts[0]), (counts[0], counts[0] + counts[1])):
        own = slice(start, stop)
        off = values[own].astype(np.float64) - biases.mean - biases.items[items[own]]
        expected[own] = off - off[kept[own]].sum() / (kept[own].sum() + 5)
    np.testing.assert_allclose(example.targets.values.numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(example.inputs.values.numpy(), expected[kept], atol=1e-12)
    assert example.inputs.items.tolist() == items[kept].tolist()
    assert example.inputs.counts.tolist() == [kept[: counts[0]].sum(), kept[counts[0] :].sum()]
    assert example.weights is not None
    assert example.weights.tolist() == np.where(kept, 0.25, 1.0).tolist()


def test_processes_hide_what_one_process_would_hide() -> None:
    known = ratings()
    config = TrainConfig(input_dropout=0.4, batch=16, seed=5)
    model = residual_model(known)
    cpu = torch.device("cpu")
    learner = AutoencoderLearner(model, Config(model=model.config, train=config), known)
    alone = list(Batches(learner, config, Runtime(cpu)).epoch(3))
    shares = [list(Batches(learner, config, Runtime(cpu, rank, 3)).epoch(3)) for rank in range(3)]
    for whole, *parts in zip(alone, *shares, strict=True):
        together = [part.example.inputs.items for part in parts]
        assert whole.example.inputs.items.tolist() == torch.cat(together).tolist()
        assert len(whole.example.inputs.items) < len(whole.example.targets.items)
