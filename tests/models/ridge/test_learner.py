"""Training the ridge autoencoder: cross-fitting, exact gradients, planted truth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from refeed.config import Config, RidgeConfig, TrainConfig, load_recipe
from refeed.evaluation.evaluate import evaluate
from refeed.models.biases import Biases
from refeed.models.ridge.learner import RidgeLearner
from refeed.models.ridge.mixed_levels import Dampings, MixedLevels
from refeed.models.variances import variances_of
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

USERS, ITEMS, WIDTH = 20, 9, 3
CPU = torch.device("cpu")
RIDGE = RidgeConfig(
    width=WIDTH, prior_users=500.0, prior_vectors=1000.0, prior_bias=10.0, prior_user_bias=500.0
)


def ratings() -> Ratings:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.6)
    return Ratings.from_arrays(
        users,
        items,
        rng.integers(1, 6, len(users)).astype(float),
        user_ids=Ids(f"u{n}" for n in range(USERS)),
        item_ids=Ids(f"i{n}" for n in range(ITEMS)),
    )


def learner(train: Ratings, *, hidden: float = 0.0, noise: float = 0.0) -> RidgeLearner:
    """In float64, with all parameters moved off their start."""
    model = RIDGE.model_copy(update={"hidden": hidden, "noise": noise})
    config = Config(model=model, train=TrainConfig(precision="float64"))
    made = RidgeLearner(config, train, CPU)
    random = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=random, dtype=torch.float64)
    return made


def loss_by_hand(made: RidgeLearner, train: Ratings, batch: np.ndarray) -> float:
    """The mean squared error of each of a batch's ratings, by fitting the user's code without it."""
    values = {name: parameter.detach().numpy() for name, parameter in made.named_parameters()}
    mean, deviation = made.mean, float(train.values.std(dtype=np.float64))
    rated = np.zeros((USERS, ITEMS), dtype=bool)
    rated[train.users, train.items] = True
    counts, others = rated.sum(axis=0), ~np.isin(np.arange(USERS), batch)
    of_users = np.column_stack([values["users"], values["user_bias"]])
    pooled = (rated[others].T @ of_users[others]) / np.sqrt(np.maximum(counts, 1))[:, None]
    x = np.column_stack([values["vectors"] + pooled[:, :-1], np.full(ITEMS, values["scale"])])
    bias = values["bias"] + pooled[:, -1]
    doubt, shrinkage = np.exp(values["log_doubt"]), made.config.shrinkage
    levels, shares = np.unique(train.values, return_counts=True)
    line = np.polynomial.polynomial.polyfit(levels, values["spacing"], 1, w=np.sqrt(shares))
    curve = dict(zip(levels, values["spacing"] - line[0] - line[1] * levels, strict=True))
    errors = []
    for user in batch:
        _, items, raw = train.rows(np.array([user]))
        shifts = np.array([curve[value] for value in raw])
        y = (raw - mean) / deviation - bias[items] + shifts
        spread = doubt * (1 / (counts[items] + 5)).sum()
        prior = np.diag([shrinkage + spread] * WIDTH + [shrinkage])
        implicit = values["implicit"][items] / np.sqrt(len(items))
        for at in range(len(items)):
            rest = np.arange(len(items)) != at
            kept = x[items[rest]]
            right = kept.T @ y[rest] + shrinkage * implicit[rest].sum(axis=0)
            code = np.linalg.solve(kept.T @ kept + prior, right)
            errors.append(y[at] - shifts[at] - x[items[at]] @ code)
    return float(np.mean(np.square(errors)))


def gradients(made: RidgeLearner, batch: np.ndarray, seed: int = 0) -> Tensor:
    example = made.example((0, 0, seed), batch, slice(0, len(batch)))
    return made.gradients(example, torch.Generator().manual_seed(seed), Runtime(CPU))


def test_the_loss_is_the_error_of_codes_refitted_without_each_rating_and_items_without_the_batch() -> None:
    train, batch = ratings(), np.array([3, 11, 0, 7])
    made = learner(train)
    # Ratings are standardised in float32.
    assert float(gradients(made, batch)) == pytest.approx(loss_by_hand(made, train, batch), abs=3e-8)


@pytest.mark.parametrize(("hidden", "noise"), [(0.0, 0.0), (0.3, 0.3)])
@pytest.mark.parametrize(
    "name", ["vectors", "bias", "users", "user_bias", "implicit", "scale", "log_doubt", "spacing"]
)
def test_gradients_are_those_of_finite_differences(name: str, hidden: float, noise: float) -> None:
    train, batch = ratings(), np.array([3, 11, 0, 7])
    made = learner(train, hidden=hidden, noise=noise)
    gradients(made, batch)
    parameter = dict(made.named_parameters())[name]
    found = parameter.grad
    assert found is not None
    rng = np.random.default_rng(0)
    for place in rng.permutation(parameter.numel())[:12].tolist():
        losses = []
        for step in (1e-5, -1e-5):
            parameter.data.view(-1)[place] += step
            made.refresh()
            losses.append(float(gradients(made, batch)))
            parameter.data.view(-1)[place] -= step
        made.refresh()
        gradients(made, batch)
        assert float(found.reshape(-1)[place]) == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-7)


def test_a_batchs_own_users_do_not_touch_its_loss() -> None:
    train, batch = ratings(), np.array([3, 11, 0, 7])
    made = learner(train)
    before = float(gradients(made, batch))
    made.users.data[torch.from_numpy(batch)] += 5
    made.refresh()
    assert float(gradients(made, batch)) == pytest.approx(before, abs=1e-12)
    assert made.users.grad is not None
    assert not made.users.grad[torch.from_numpy(batch)].any()


def test_updates_of_f_that_wait_get_the_mean_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    train, batches = ratings(), [np.array([3, 11, 0, 7]), np.array([1, 2, 11, 19])]
    at_once = learner(train)
    expected = []
    for batch in batches:
        gradients(at_once, batch)
        assert at_once.users.grad is not None
        expected.append(at_once.users.grad.clone())
    monkeypatch.setattr("refeed.models.ridge.learner._OFTEN", len(train) / 2 / 24)
    waiting = learner(train)
    gradients(waiting, batches[0])
    assert waiting.users.grad is None
    gradients(waiting, batches[1])
    assert waiting.users.grad is not None
    torch.testing.assert_close(waiting.users.grad, sum(expected) / 2, rtol=0, atol=1e-12)


def planted(users: int = 300, items: int = 60) -> tuple[Ratings, Ratings, Ratings, float]:
    """Train, validation and test ratings of biases and two tastes with noise, and the noise's deviation."""
    rng = np.random.default_rng(5)
    taste = rng.normal(0, 1, (users, 2)) @ rng.normal(0, 0.5, (2, items))
    full = 3.5 + rng.normal(0, 0.4, (users, 1)) + rng.normal(0, 0.4, items) + taste
    noisy = full + rng.normal(0, 0.5, full.shape)
    rated = rng.random(full.shape) < 0.4
    draws = rng.random(full.shape)
    valid, held_out = rated & (draws < 0.1), rated & (draws > 0.9)

    def chosen(mask: np.ndarray) -> Ratings:
        at = np.nonzero(mask)
        return Ratings.from_arrays(
            at[0],
            at[1],
            noisy[at],
            user_ids=Ids(f"u{n}" for n in range(users)),
            item_ids=Ids(f"i{n}" for n in range(items)),
        )

    return chosen(rated & ~held_out & ~valid), chosen(valid), chosen(held_out), 0.5


def test_what_was_planted_is_found_almost_to_the_noise(tmp_path: Path) -> None:
    train, valid, test, noise = planted()
    errors = {}
    for name, settings in (("default", ["model.width=4", "train.steps=150"]), ("bias", [])):
        of_ratings = load_recipe(name, settings).model_copy(update={"interactions": None})
        fit(train, valid, of_ratings, tmp_path / name)
        folder = TrainedModel.load(tmp_path / name)
        errors[name] = evaluate(folder.model, train, test, scale=folder.scale).rmse.value
    assert errors["default"] < 1.25 * noise < errors["bias"]


def test_training_starts_from_the_levels_of_the_mixed_model() -> None:
    train = ratings()
    made = RidgeLearner(Config(model=RIDGE, train=TrainConfig(precision="float64")), train, CPU)
    damping = variances_of(train).user_damping
    # f's prior is twice as strong beside vectors (`levels.priors_of`).
    levels = MixedLevels.fit(train, Dampings(damping, items=10 / 2, raters=500 / 4))
    biases = Biases(levels.mean, levels.items + levels.pooled, damping)
    of_users = biases.of_users(train.indptr, train.items, train.values)
    everything = np.repeat(np.arange(USERS), ITEMS), np.tile(np.arange(ITEMS), USERS)
    with torch.no_grad():
        made.vectors.zero_()
    predicted = made.finished().predict(train, *everything)
    assert predicted == pytest.approx(biases.predict(of_users, *everything), abs=1e-7)
