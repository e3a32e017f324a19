"""Evaluation and comparison of models, against sums by hand."""

import json
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
import torch
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from refeed.baselines.bias import BiasModel
from refeed.baselines.mean import MeanModel
from refeed.config import AutoencoderConfig, BiasConfig, MeanConfig
from refeed.errors import ConfigError, DataError, ModelError
from refeed.evaluation import evaluate as module
from refeed.evaluation.evaluate import compare, evaluate
from refeed.evaluation.metrics import mae, rmse
from refeed.models.autoencoder.network import Autoencoder
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


@dataclass
class _Table:
    """A model that predicts what its table says."""

    table: Float64[np.ndarray, "users items"]
    axis: Literal["user", "item"] = "user"
    folds_in: bool = True

    def predict(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        predicted: Float64[np.ndarray, " pairs"] = self.table[users, items]
        return predicted

    def predict_all(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " users"],
    ) -> Float32[np.ndarray, "users items"]:
        predicted: Float32[np.ndarray, "users items"] = self.table[users].astype(np.float32)
        return predicted

    def item_vectors(self) -> None:
        return None


def _ratings(rows: list[tuple[str, str, float]]) -> Ratings:
    users, items = Ids(sorted({row[0] for row in rows})), Ids(sorted({row[1] for row in rows}))
    return Ratings.from_arrays(
        users.positions(row[0] for row in rows),
        items.positions(row[1] for row in rows),
        np.array([row[2] for row in rows]),
        user_ids=users,
        item_ids=items,
    )


TRAIN = [("ann", "x", 5.0), ("ann", "y", 1.0), ("bob", "x", 4.0), ("cat", "z", 3.0)]


def _random(seed: int) -> tuple[Ratings, Ratings]:
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((60, 20)) < 0.5)
    ratings = Ratings.from_arrays(
        u,
        i,
        rng.integers(1, 6, len(u)).astype(float),
        user_ids=Ids(f"u{n}" for n in range(60)),
        item_ids=Ids(f"i{n}" for n in range(20)),
    )
    held_out = rng.random(len(ratings)) < 0.3
    return ratings.select(~held_out), ratings.select(held_out)


def test_errors_are_pooled_with_and_without_clipping() -> None:
    train = _ratings(TRAIN)
    test = _ratings([("bob", "y", 2.0), ("ann", "z", 4.0), ("cat", "x", 5.0)])
    # Rows ann, bob, cat; columns x, y, z.
    model = _Table(np.array([[0.0, 0.0, 3.0], [0.0, 0.5, 0.0], [7.0, 0.0, 0.0]]))
    result = evaluate(model, train, test, scale=train.scale)
    assert result.rmse.value == pytest.approx(np.sqrt((1 + 1.5**2 + 2**2) / 3))
    assert result.mae.value == pytest.approx((1 + 1.5 + 2) / 3)
    assert result.rmse_clipped.value == pytest.approx(np.sqrt((1 + 1 + 0) / 3))
    assert result.mae_clipped.value == pytest.approx((1 + 1 + 0) / 3)
    assert (result.ratings, result.users) == (3, 3)


def test_cold_pairs_are_counted_and_left_out() -> None:
    train = _ratings(TRAIN)
    test = _ratings([("bob", "y", 2.0), ("new", "x", 1.0), ("new", "unheard", 1.0), ("ann", "unheard", 1.0)])
    result = evaluate(_Table(np.full((3, 3), 2.0)), train, test, scale=train.scale)
    assert (result.ratings, result.users, result.rmse.value) == (1, 1, 0)
    assert (result.cold_ratings, result.cold_users, result.cold_items) == (3, 1, 1)
    assert "3 more were left out" in str(result)
    assert "too few users" in str(result)


@pytest.mark.parametrize("axis", ["user", "item"])
def test_batches_do_not_change_the_result(
    axis: Literal["user", "item"], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = _random(0)
    model = _Table(np.random.default_rng(1).normal(3, 1, (60, 20)), axis=axis)
    whole = evaluate(model, train, test, scale=train.scale)
    predicted = model.table[test.users, test.items]
    assert whole.rmse.value == pytest.approx(rmse(predicted, test.values))
    assert whole.mae.value == pytest.approx(mae(predicted, test.values))
    monkeypatch.setattr(module, "_ROWS", 7)
    assert evaluate(model, train, test, scale=train.scale).as_dict() == whole.as_dict()


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_networks_errors_are_those_of_one_dense_user_at_a_time(*, shuffled: bool) -> None:
    train, test = _random(2)
    if shuffled:  # other positions of the same users and items than training's
        test = test.select(np.random.default_rng(3).random(len(test)) < 0.8).compact()
    config = AutoencoderConfig(encoder=[8, 5], activation="selu")
    model = Autoencoder(config, train.n_items, torch.Generator().manual_seed(0)).double().eval()
    layers = [
        (model.item_in.t(), model.encode_b[0]),
        (model.encode_w[0], model.encode_b[1]),
        (model.decode_w[0], model.decode_b[0]),
        (model.item_out, model.decode_b[1]),
    ]

    errors = []
    for position, user in enumerate(test.user_ids):
        x = torch.zeros(train.n_items, dtype=torch.float64)
        for place in np.flatnonzero(train.users == train.user_ids.position(user)).tolist():
            x[train.items[place]] = float(train.values[place])
        for weight, bias in layers:
            x = torch.nn.functional.selu(weight @ x + bias)
        for place in np.flatnonzero(test.users == position).tolist():
            item = train.item_ids.position(test.item_ids[int(test.items[place])])
            errors.append(float(x[item].detach()) - float(test.values[place]))

    found = evaluate(model, train, test, scale=(1.0, 5.0), resamples=1)

    assert found.ratings == len(errors) == len(test)
    assert found.rmse.value == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-9)
    assert found.mae.value == pytest.approx(np.mean(np.abs(errors)), rel=1e-9)


def test_the_numbers_survive_json() -> None:
    train, test = _random(1)
    result = evaluate(_Table(np.full((60, 20), 3.0)), train, test, scale=train.scale, seed=3)
    table = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert table["rmse"] == {
        "value": result.rmse.value,
        "low": result.rmse.low,
        "high": result.rmse.high,
    }
    assert table["scale"] == [1, 5]
    assert table["ratings"] == len(test)
    assert table["seed"] == 3
    assert "evidence" not in table


def test_the_table_shows_the_errors_and_their_intervals() -> None:
    train, test = _random(2)
    result = evaluate(_Table(np.full((60, 20), 3.0)), train, test, scale=train.scale)
    assert f"{result.mae_clipped.value:.4f}" in str(result)
    assert f"{result.rmse.low:.4f} …  {result.rmse.high:.4f}" in str(result)


def test_a_better_model_is_found_better() -> None:
    train, test = _random(3)
    truth = np.full((60, 20), 3.0)
    truth[test.users, test.items] = test.values
    good, bad = _Table(truth + 0.3), _Table(truth + np.random.default_rng(0).choice([-0.5, 0.5], (60, 20)))
    one = evaluate(good, train, test, scale=train.scale)
    other = evaluate(bad, train, test, scale=train.scale)
    comparison = compare(one, other)
    assert comparison.rmse.value == pytest.approx(0.3 - 0.5)
    assert comparison.rmse.p < 0.01
    assert comparison.ratings == len(test)
    assert json.loads(json.dumps(comparison.as_dict()))["mae"]["p"] == comparison.mae.p
    assert f"{comparison.rmse.value:.4f}" in str(comparison)


def test_models_with_their_own_positions_are_compared_by_raw_ids() -> None:
    rows = [("b", "y", 2.0), ("a", "x", 4.0), ("c", "x", 1.0), ("a", "y", 3.0), ("c", "y", 5.0)]
    test = _ratings(rows)
    train = _ratings(rows)
    flipped = Ratings.from_arrays(
        2 - train.users,
        1 - train.items.astype(np.int64),
        train.values,
        user_ids=Ids(reversed(list(train.user_ids))),
        item_ids=Ids(reversed(list(train.item_ids))),
    )
    table = np.random.default_rng(0).normal(3, 1, (3, 2))
    one = evaluate(_Table(table), train, test, scale=(1.0, 5.0))
    other = evaluate(_Table(table[::-1, ::-1]), flipped, test, scale=(1.0, 5.0))
    difference = compare(one, other).rmse
    assert difference.value == pytest.approx(0, abs=1e-12)
    # Per user, not only in sum: every draw differs by nothing.
    assert difference.low == pytest.approx(0, abs=1e-12)
    assert difference.high == pytest.approx(0, abs=1e-12)


def test_runs_on_different_ratings_are_not_compared() -> None:
    train, test = _random(4)
    model = _Table(np.full((60, 20), 3.0))
    one = evaluate(model, train, test, scale=train.scale)
    fewer = evaluate(model, train, test.select(np.arange(len(test)) > 0), scale=train.scale)
    with pytest.raises(DataError, match="did not predict the same ratings"):
        compare(one, fewer)
    changed = evaluate(model, train, replace(test, values=test.values[::-1]), scale=train.scale)
    with pytest.raises(DataError, match="did not predict the same ratings"):
        compare(one, changed)


def test_biases_beat_the_mean_where_there_are_biases() -> None:
    rng = np.random.default_rng(0)
    u, i = np.nonzero(rng.random((100, 30)) < 0.5)
    values = 3 + rng.normal(0, 0.5, 100)[u] + rng.normal(0, 0.5, 30)[i] + rng.normal(0, 0.3, len(u))
    ratings = Ratings.from_arrays(
        u, i, values, user_ids=Ids(map(str, range(100))), item_ids=Ids(map(str, range(30)))
    )
    held_out = rng.random(len(ratings)) < 0.2
    train, test = ratings.select(~held_out), ratings.select(held_out)
    bias, mean = BiasModel(BiasConfig(), 30), MeanModel(MeanConfig(), 30)
    bias.fit(train)
    mean.fit(train)
    one, other = (evaluate(model, train, test, scale=train.scale) for model in (bias, mean))
    # The noise has deviation .3; estimating the biases from few ratings costs a little.
    assert 0.28 < one.rmse.value < 0.36
    assert compare(one, other).rmse.p < 0.01


def test_an_empty_test_set_is_refused() -> None:
    train, test = _random(5)
    with pytest.raises(DataError, match="no held-out rating"):
        evaluate(
            _Table(np.zeros((60, 20))), train, test.select(np.zeros(len(test), dtype=bool)), scale=(1.0, 5.0)
        )


def test_a_test_set_of_strangers_is_refused() -> None:
    with pytest.raises(DataError, match=r"none of the 1 held-out ratings .*1 users and 0 items are unknown"):
        evaluate(_Table(np.zeros((3, 3))), _ratings(TRAIN), _ratings([("who", "x", 1.0)]), scale=(1.0, 5.0))


def test_a_prediction_that_is_no_number_is_refused() -> None:
    train, test = _random(6)
    with pytest.raises(ModelError, match="predictions are NaN or infinite"):
        evaluate(_Table(np.full((60, 20), np.nan)), train, test, scale=train.scale)


def test_a_scale_upside_down_is_refused() -> None:
    train, test = _random(7)
    with pytest.raises(ConfigError, match="scale"):
        evaluate(_Table(np.zeros((60, 20))), train, test, scale=(5.0, 1.0))


def test_a_model_in_time_is_asked_at_the_times_of_the_held_out_ratings() -> None:
    users, items = np.array([0, 0, 1]), np.array([0, 1, 0])

    def rated(values: list[float], times: NDArray[np.int64] | None = None) -> Ratings:
        ids = Ids("ab"), Ids("xy")
        return Ratings.from_arrays(
            users, items, np.array(values), times=times, user_ids=ids[0], item_ids=ids[1]
        )

    class Calendar(_Table):
        """Predicts the time that it is asked for."""

        def predict_at(
            self,
            histories: Ratings,  # noqa: ARG002
            users: Int64[np.ndarray, " pairs"],  # noqa: ARG002
            items: Int64[np.ndarray, " pairs"],  # noqa: ARG002
            times: Int64[np.ndarray, " pairs"],
        ) -> Float64[np.ndarray, " pairs"]:
            return times.astype(np.float64)

    model = Calendar(np.full((2, 2), 9.0))
    known, timed = rated([1.0, 1.0, 1.0]), rated([3.0, 1.0, 2.0], np.array([3, 1, 2]))
    assert evaluate(model, known, timed, scale=(1.0, 5.0), resamples=5).rmse.value == 0
    assert evaluate(model, known, rated([9.0, 9.0, 9.0]), scale=(1.0, 9.0), resamples=5).rmse.value == 0
