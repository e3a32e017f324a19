"""The loop with a ridge autoencoder and a network that it is blended with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_fit import assert_same_run, metrics_of, simulated
from test_fit_ridge import RIDGE, stopping_after

from refeed.config import AutoencoderConfig, Config, TrainConfig, config_from_toml, load_recipe
from refeed.errors import ConfigError, TrainingDivergedError
from refeed.evaluation.metrics import rmse
from refeed.inference.recommender import Recommender
from refeed.lite.recommender import Recommender as LiteRecommender
from refeed.models.blend.model import Blend
from refeed.models.intervals import Uncertain
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.progress import report_progress, silent
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit


def blend_of(
    ensemble: int = 1, networks: int = 1, *, ridge_lr: float = 0.01, **network_train: object
) -> Config:
    """12 steps of a ridge autoencoder, 3 epochs of a network; 60 users make 4 batches an epoch."""
    train = {"optimizer": "adam", "lr": ridge_lr, "batch": 16, "steps": 12, "ensemble": ensemble}
    settings = {"lr": 0.01, "batch": 16, "epochs": 3, "ensemble": networks, **network_train}
    return Config(
        model=RIDGE,
        train=TrainConfig.model_validate(train),
        network=AutoencoderConfig(encoder=[6], target="residual", output_activation=False, dropout=0.3),
        network_train=TrainConfig.model_validate(settings),
    )


def two_tastes() -> tuple[Ratings, Ratings]:
    """Ratings that biases say nothing of, so that a network is worth more than a ridge of hardly any rate."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((60, 30)) < 0.6)
    tastes, kinds = rng.choice([-1, 1], 60), rng.choice([-1, 1], 30)
    ratings = 3 + 1.5 * tastes[users] * kinds[items] + rng.normal(0, 0.3, len(users))
    user_ids, item_ids = Ids(f"u{u}" for u in range(60)), Ids(f"i{i}" for i in range(30))
    everything = Ratings.from_arrays(users, items, ratings, user_ids=user_ids, item_ids=item_ids)
    held_out = rng.random(len(everything)) < 0.2
    return everything.select(~held_out), everything.select(held_out)


def trained(run: Path) -> Blend:
    model = TrainedModel.load(run).model
    assert isinstance(model, Blend)
    return model


def test_the_weight_is_the_least_squares_on_validation(tmp_path: Path) -> None:
    train, valid = two_tastes()
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, blend_of(ridge_lr=1e-5), tmp_path / "run", reporter=reporter)
    blend, pairs = trained(tmp_path / "run"), align_to(valid, train)
    ridge, network = (part.predict(train, pairs.users, pairs.items) for part in (blend.ridge, blend.network))
    columns, ratings = (network - ridge)[:, None], pairs.values - ridge
    expected = float(np.clip(np.linalg.lstsq(columns, ratings)[0][0], 0, 1))
    assert float(blend.weight) == pytest.approx(expected, abs=1e-6)
    assert float(blend.weight_if_thin) == 0  # all have about as many ratings
    assert f"the network's weight in the blend: {expected:.2f}; " in (tmp_path / "said.txt").read_text()
    together = blend.predict(train, pairs.users, pairs.items)
    np.testing.assert_allclose(together, (1 - expected) * ridge + expected * network, atol=1e-6)
    errors = [rmse(predicted, pairs.values) for predicted in (together, ridge, network)]
    assert errors[0] == min(errors)


def test_intervals_are_calibrated_for_the_blend(tmp_path: Path) -> None:
    train, valid = two_tastes()
    fit(train, valid, blend_of(ridge_lr=1e-5), tmp_path / "run")
    blend, pairs = trained(tmp_path / "run"), align_to(valid, train)
    errors = pairs.values - blend.predict(train, pairs.users, pairs.items)
    below = errors / blend.predictive_std(train, pairs.users, pairs.items) <= float(blend.quantiles[99])
    assert below.mean() == pytest.approx(0.5, abs=2 / len(pairs))


def test_ensembles_of_both_are_trained_one_after_the_other(tmp_path: Path) -> None:
    train, valid = two_tastes()
    fit(train, valid, blend_of(ridge_lr=1e-5, ensemble=2, networks=2), tmp_path / "run")
    members = trained(tmp_path / "run").each()
    assert [isinstance(member, RidgeAutoencoder) for member in members] == [True, True, False, False]
    assert [line["member"] for line in metrics_of(tmp_path / "run")] == [
        n for n in (1, 2, 3, 4) for _ in "123"
    ]
    users = items = np.arange(10)
    predicted = [member.predict(train, users, items) for member in members]
    assert not np.allclose(predicted[0], predicted[1])
    assert not np.allclose(predicted[2], predicted[3])


def test_a_network_that_weighs_nothing_is_not_kept(tmp_path: Path) -> None:
    train, valid = simulated()
    alone = blend_of().model_copy(update={"network": None, "network_train": None})
    ridge = fit(train, valid, alone).model
    blend = fit(train, valid, blend_of(), tmp_path / "run").model
    assert isinstance(ridge, RidgeAutoencoder)
    weights = load_file(tmp_path / "run" / "model.safetensors")
    assert weights.keys() == ridge.state_dict().keys()
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == (
        tmp_path / "run" / "model.safetensors"
    ).read_bytes()
    for model in (
        blend,
        TrainedModel.load(tmp_path / "run").model,
        TrainedModel.load(tmp_path / "run", "last").model,
    ):
        assert isinstance(model, RidgeAutoencoder)
        for name, weight in ridge.state_dict().items():
            assert torch.equal(model.state_dict()[name], weight), name
    lite = LiteRecommender.load(tmp_path / "run")
    assert lite.predict("u1", "i1") == pytest.approx(
        Recommender.load(tmp_path / "run").predict("u1", "i1"), abs=1e-6
    )


def test_a_network_that_will_weigh_nothing_is_trained_half_way(tmp_path: Path) -> None:
    train, valid = two_tastes()
    config = blend_of(epochs=8, lr=1e-6)  # it learns nothing: it adds biases, which the ridge has
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, config, tmp_path / "run", reporter=reporter)
    assert "after 4 of 8 epochs the network's weight" in (tmp_path / "said.txt").read_text()
    assert [line["epoch"] for line in metrics_of(tmp_path / "run") if line["member"] == 2] == [1, 2, 3, 4]
    with pytest.raises(KeyboardInterrupt):
        fit(train, valid, config, tmp_path / "stopped", reporter=stopping_after(6))
    fit(train, valid, config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "stopped")


def test_a_network_that_learns_is_trained_to_its_end(tmp_path: Path) -> None:
    train, valid = two_tastes()
    fit(train, valid, blend_of(epochs=8, lr=0.3), tmp_path / "run")
    assert len([line for line in metrics_of(tmp_path / "run") if line["member"] == 2]) == 8


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a blend whose training never stopped."""
    out = tmp_path_factory.mktemp("blend") / "whole"
    fit(*simulated(), blend_of(), out)
    return out


@pytest.mark.parametrize("stopped", [1, 3, 4, 5, 6])
def test_a_blend_stopped_anywhere_and_resumed_equals_never_stopped(
    whole: Path, tmp_path: Path, stopped: int
) -> None:
    train, valid = simulated()
    if stopped < 6:
        with pytest.raises(KeyboardInterrupt):
            fit(train, valid, blend_of(), tmp_path / "stopped", reporter=stopping_after(stopped))
    else:
        fit(train, valid, blend_of(), tmp_path / "stopped")
    fit(train, valid, blend_of(), tmp_path / "stopped", resume=True)
    assert_same_run(whole, tmp_path / "stopped")


def test_until_the_network_is_trained_the_folder_predicts_as_the_ridge_autoencoder(tmp_path: Path) -> None:
    train, valid = simulated()
    alone = blend_of().model_copy(update={"network": None, "network_train": None})
    heard: list[object] = []

    class Counting(type(silent)):  # type: ignore[misc]
        def end_epoch(self, metrics: object) -> None:
            heard.append(metrics)

    fit(train, valid, alone, tmp_path / "alone", reporter=Counting())
    with pytest.raises(KeyboardInterrupt):  # in the network's second epoch
        fit(train, valid, blend_of(), tmp_path / "stopped", reporter=stopping_after(len(heard) + 1))
    users = items = np.arange(10)
    ridge, blend = (TrainedModel.load(tmp_path / name).model for name in ("alone", "stopped"))
    np.testing.assert_array_equal(blend.predict(train, users, items), ridge.predict(train, users, items))
    assert isinstance(ridge, Uncertain)
    assert isinstance(blend, Uncertain)
    np.testing.assert_array_equal(blend.quantiles, ridge.quantiles)


def test_without_validation_ratings_the_network_is_left_out(tmp_path: Path) -> None:
    train, _ = simulated()
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, None, blend_of(), tmp_path / "run", reporter=reporter)
    assert isinstance(TrainedModel.load(tmp_path / "run").model, RidgeAutoencoder)
    assert "left out of the blend" in (tmp_path / "said.txt").read_text()


def test_a_blend_is_not_resumed_without_what_weighs_it(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, blend_of(), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"other settings: no section network \(it had one\); no section"):
        fit(train, None, blend_of(), tmp_path / "run", resume=True)


def test_a_network_that_diverges_is_named_and_the_ridge_autoencoder_kept(tmp_path: Path) -> None:
    train, valid = simulated()
    with pytest.raises(TrainingDivergedError, match=r"keeps the models before .*network_train\.lr"):
        fit(train, valid, blend_of(lr=1e18), tmp_path / "run")
    assert float(trained(tmp_path / "run").weight) == 0


def test_the_recipe_is_the_default_with_simple_beside() -> None:
    blend, default, simple = (load_recipe(name) for name in ("blend", "default", "simple"))
    assert (blend.model, blend.train) == (default.model, default.train)
    assert (blend.network, blend.network_train) == (simple.model, simple.train)


@pytest.mark.parametrize(
    ("model", "network", "message"),
    [
        ('kind = "ridge"', "encoder = [4]", "network and network_train go together"),
        ('kind = "bias"', "encoder = [4]\n[network_train]", "not with bias"),
        ('kind = "ridge"', 'encoder = [4]\naxis = "item"\n[network_train]', "user-based"),
        ('kind = "ridge"', "encoder = [4]\n[network_train]\nseed = 3", "drawn from train.seed"),
        ('kind = "ridge"', 'encoder = [4]\n[network_train]\nrefeed_path = "collapsed"', "linear"),
    ],
)
def test_blends_that_make_no_sense_are_refused_by_name(model: str, network: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_toml(f"[model]\n{model}\n[network]\n{network}\n", where="test")
