"""The loop with the ridge autoencoder, and with ensembles: the same promises as for every network."""

import re
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_fit import HANGS, assert_same_run, finish, metrics_of, prepared, simulated, start

from refeed.config import AutoencoderConfig, Config, RidgeConfig, TrainConfig, config_from_toml
from refeed.errors import ConfigError, ModelError, TrainingDivergedError
from refeed.models.ensemble import Ensemble, RidgeEnsemble
from refeed.models.intervals import Uncertain
from refeed.models.ridge import auto as auto_module
from refeed.models.ridge.levels import priors_of
from refeed.models.ridge.mixed_levels import dampings_of
from refeed.progress import Reporter, report_progress, silent
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

# Hardly anything is said of levels by raters: trainings of so few steps need not unlearn it first.
RIDGE = RidgeConfig(width=4, prior_users=50.0, prior_vectors=100.0, prior_bias=1.0, prior_user_bias=1e4)


def ridge_of(**train: object) -> Config:
    settings = {"optimizer": "adam", "lr": 0.01, "batch": 16, "steps": 12, "schedule": "cosine", **train}
    return Config(model=RIDGE, train=TrainConfig.model_validate(settings))


def stopping_after(lines: int) -> Reporter:
    """A reporter that breaks the training off when it has heard of so many epochs."""
    heard: list[object] = []

    class Stopping(type(silent)):  # type: ignore[misc]
        def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
            heard.append(metrics)
            if len(heard) > lines:
                raise KeyboardInterrupt

    stopping: Reporter = Stopping()
    return stopping


def test_steps_end_the_training_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    train, valid = simulated()  # 60 users: 4 batches an epoch
    fit(train, valid, ridge_of(steps=6, keep_state=True), tmp_path / "run")
    lines = metrics_of(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [1, 2]
    saved = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)["state"]["model"]
    assert int(saved["steps"]) == 6


@pytest.mark.parametrize(("later", "said"), [(1, True), (-1, False)])
def test_where_validation_is_of_the_future_the_recipe_blend_is_named(
    tmp_path: Path, later: int, *, said: bool
) -> None:
    train, valid = simulated()
    train = replace(train, times=np.arange(len(train)))
    valid = replace(valid, times=len(train) + np.arange(len(valid)) + 2 * later)
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, ridge_of(), reporter=reporter)
    assert ("the recipe blend" in (tmp_path / "said.txt").read_text()) is said


def test_a_training_that_an_earlier_version_began_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    train, valid = simulated()
    with pytest.raises(KeyboardInterrupt):
        fit(train, valid, ridge_of(), tmp_path / "run", reporter=stopping_after(1))
    config = tmp_path / "run" / "config.toml"
    old = config.read_text().replace("spacing = true\n", "")  # a setting that it did not have
    config.write_text(old)
    with pytest.raises(ConfigError, match="begun by an earlier refeed"):
        fit(train, valid, ridge_of(), tmp_path / "run", resume=True)
    assert config.read_text() == old


def test_a_ridge_autoencoder_stopped_and_resumed_equals_never_stopped(tmp_path: Path) -> None:
    config = ridge_of(batch=1, steps=150, checkpoint_minutes=1e-6)
    fit(*simulated(), config, tmp_path / "whole")
    killed = start(prepared(tmp_path, config), tmp_path / "killed", killed_after=60 + 25)
    _, said = killed.communicate(timeout=HANGS)
    assert killed.returncode == -signal.SIGKILL, said
    fit(*simulated(), config, tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_stopped_after_the_very_last_step_it_goes_on_to_no_further_one(tmp_path: Path) -> None:
    train, valid = simulated()  # 60 users: 4 batches an epoch
    fit(train, valid, ridge_of(steps=6), tmp_path / "whole")
    config = ridge_of(steps=6, checkpoint_minutes=1e-9)
    heard: list[float] = []

    class Stopping(type(silent)):  # type: ignore[misc]
        def advance(self, users: int, loss: float) -> None:  # noqa: ARG002
            heard.append(loss)
            if len(heard) == 6:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(train, valid, config, tmp_path / "stopped", reporter=Stopping())
    assert not (tmp_path / "stopped" / "metrics.jsonl").read_text().count("\n") > 1
    fit(train, valid, config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_a_ridge_autoencoder_that_diverges_ends_as_an_error_of_the_training(tmp_path: Path) -> None:
    train, valid = simulated()
    with pytest.raises(TrainingDivergedError, match="a smaller rate"):
        fit(train, valid, ridge_of(lr=1e18, schedule="constant"), tmp_path / "run")


def test_two_processes_give_a_ridge_autoencoder_the_numbers_of_one(tmp_path: Path) -> None:
    config = ridge_of(precision="float64", batch=59)  # one process has no user at times
    fit(*simulated(), config, tmp_path / "one")
    finish(start(prepared(tmp_path, config), tmp_path / "two", processes=2))
    for one, two in zip(metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two"), strict=True):
        assert one == pytest.approx(two, abs=1e-10)
    weights, others = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name], rtol=0, atol=1e-10)


def test_auto_is_settled_by_the_ratings_and_written_down(tmp_path: Path) -> None:
    train, valid = simulated()
    auto = Config(model=RidgeConfig(), train=ridge_of().train)
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, auto, tmp_path / "run", reporter=reporter)
    settled = config_from_toml((tmp_path / "run" / "config.toml").read_text(), where="test").model
    assert isinstance(settled, RidgeConfig)
    assert settled.width == 24
    assert isinstance(settled.prior_users, float)
    trials = [line for line in (tmp_path / "said.txt").read_text().splitlines() if line.startswith("trial")]
    assert len(trials) >= 4
    assert "at least 3 more" in trials[0]
    assert ", 4 updates)" in trials[0]
    best = min(trials, key=lambda line: float(line.split("RMSE ")[1].split(",")[0]))
    # At the lowest point between the trials, and somewhat stronger for a whole training.
    ratio = settled.prior_users / float(best.split("prior_users = ")[1].split(",")[0])
    assert 1.5 / np.sqrt(3) - 0.1 < ratio < 1.5 * np.sqrt(3) + 0.1


def test_the_prior_of_items_levels_follows_from_how_much_they_differ(tmp_path: Path) -> None:
    train, valid = simulated()
    auto = RIDGE.model_copy(update={"prior_bias": "auto", "prior_user_bias": "auto"})
    fit(train, valid, ridge_of(steps=1).model_copy(update={"model": auto}), tmp_path / "run")
    settled = TrainedModel.load(tmp_path / "run").config.model
    assert isinstance(settled, RidgeConfig)
    expected = priors_of(dampings_of(train))
    assert (settled.prior_bias, settled.prior_user_bias) == pytest.approx(expected, rel=0.05)


def only_worse() -> tuple[Ratings, Ratings, Config]:
    """Ratings, and validation ratings that are the worse predicted the more is learned, whatever the rate."""
    train, valid = simulated()
    opposite = replace(valid, values=(2 * train.mean - valid.values).astype(np.float32))
    # Of levels much is there from the start, and some of it may be unlearned.
    still = RIDGE.model_copy(update={"prior_bias": 1e4})
    return train, opposite, ridge_of(schedule="constant").model_copy(update={"model": still})


def test_a_training_that_only_gets_worse_starts_again_at_a_lower_rate(tmp_path: Path) -> None:
    train, opposite, config = only_worse()
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, opposite, config, tmp_path / "run", reporter=reporter)
    lines, said = metrics_of(tmp_path / "run"), (tmp_path / "said.txt").read_text()
    assert said.count("starts again at a learning rate of") == 3
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["lr"] == pytest.approx(0.01 / 27)


@pytest.mark.parametrize("stopped", [1, 2, 3, 4, 6])
def test_a_training_that_starts_again_equals_one_that_was_stopped_before_it_did(
    tmp_path: Path, stopped: int
) -> None:
    train, opposite, config = only_worse()
    fit(train, opposite, config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):  # after 3 epochs it would start again
        fit(train, opposite, config, tmp_path / "stopped", reporter=stopping_after(stopped - 1))
    fit(train, opposite, config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_with_very_many_ratings_priors_are_tried_on_some_users_and_scaled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid = simulated()
    monkeypatch.setattr(auto_module, "_MOST", len(train) // 3)
    monkeypatch.setattr(auto_module, "_SCARCE", 0)
    auto = Config(model=RidgeConfig(), train=ridge_of().train)
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, auto, tmp_path / "run", reporter=reporter)
    trials = [line for line in (tmp_path / "said.txt").read_text().splitlines() if line.startswith("trial")]
    ratings = int(trials[0].split("(")[1].split()[0].replace(",", ""))
    assert ratings < len(train) / 2
    settled = TrainedModel.load(tmp_path / "run").config.model
    assert isinstance(settled, RidgeConfig)
    tried = np.array([float(line.split("prior_users = ")[1].split(",")[0]) for line in trials])
    ratios = settled.prior_users / (tried * np.sqrt(len(train) / ratings))
    # It lies around one of them, scaled up; errors this close may print alike.
    assert any((ratios > 1.5 / np.sqrt(3) - 0.1) & (ratios < 1.5 * np.sqrt(3) + 0.1))


def test_a_prior_that_is_given_is_tried_on_some_users_as_it_would_be_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid = simulated()
    monkeypatch.setattr(auto_module, "_MOST", len(train) // 3)
    monkeypatch.setattr(auto_module, "_SCARCE", 0)
    given = Config(model=RidgeConfig(width=3, prior_users=1000.0), train=ridge_of().train)
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, given, tmp_path / "run", reporter=reporter)
    trials = [line for line in (tmp_path / "said.txt").read_text().splitlines() if line.startswith("trial")]
    ratings = int(trials[0].split("(")[1].split()[0].replace(",", ""))
    tried = float(trials[0].split("prior_users = ")[1].split(",")[0])
    assert tried == pytest.approx(1000 * np.sqrt(ratings / len(train)), rel=1e-3)
    settled = TrainedModel.load(tmp_path / "run").config.model
    assert isinstance(settled, RidgeConfig)
    assert settled.prior_users == 1000


def test_priors_are_those_of_the_number_of_ratings_where_nobody_is_in_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid = simulated()
    for nobody in ("_MOST", "_SCARCE", "_SHARE"):
        monkeypatch.setattr(auto_module, nobody, 0)
    for name, held_out in (("with", valid), ("without", None)):
        fit(train, held_out, Config(model=RidgeConfig(width=3), train=ridge_of().train), tmp_path / name)
    one, other = (TrainedModel.load(tmp_path / name).config.model for name in ("with", "without"))
    assert one == other


def test_what_is_given_is_not_chosen(tmp_path: Path) -> None:
    train, valid = simulated()
    model = RidgeConfig(prior_users=70.0, prior_vectors="auto", width=3)
    for name, held_out in (("with", valid), ("without", None)):
        fit(train, held_out, Config(model=model, train=ridge_of().train), tmp_path / name)
        settled = TrainedModel.load(tmp_path / name).config.model
        assert isinstance(settled, RidgeConfig)
        assert (settled.width, settled.prior_users) == (3, 70.0)
        assert isinstance(settled.prior_vectors, float)


def test_a_folder_that_exists_is_refused_before_the_first_trial(tmp_path: Path) -> None:
    train, valid = simulated()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("years of work")
    auto = Config(model=RidgeConfig(), train=ridge_of().train)
    with (
        (tmp_path / "said.txt").open("w") as stream,
        report_progress(stream) as reporter,
        pytest.raises(ModelError, match="exists already"),
    ):
        fit(train, valid, auto, tmp_path / "run", reporter=reporter)
    assert "trial" not in (tmp_path / "said.txt").read_text()


def test_trials_say_their_seconds_and_how_many_remain(tmp_path: Path) -> None:
    train, valid = simulated()
    auto = Config(model=RidgeConfig(), train=ridge_of().train)
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, auto, reporter=reporter)
    trials = [line for line in (tmp_path / "said.txt").read_text().splitlines() if line.startswith("trial")]
    assert len(trials) >= 4
    assert all(re.search(r", \d+\.\d s; (at least \d|perhaps one) more$", line) for line in trials)
    assert trials[0].endswith("at least 3 more")


def test_a_resumed_training_takes_what_auto_came_to(tmp_path: Path) -> None:
    train, valid = simulated()
    auto = Config(model=RidgeConfig(), train=ridge_of(schedule="constant", keep_state=True).train)
    longer = auto.model_copy(update={"train": auto.train.model_copy(update={"steps": 16})})
    fit(train, valid, auto, tmp_path / "run")
    before = TrainedModel.load(tmp_path / "run").config.model
    fit(train, valid, longer, tmp_path / "run", resume=True)
    assert TrainedModel.load(tmp_path / "run").config.model == before
    assert len(metrics_of(tmp_path / "run")) == 4
    other = longer.model_copy(update={"model": RidgeConfig(width=7)})
    with pytest.raises(ConfigError, match=r"model.width = 7 \(it was 24\)"):
        fit(train, valid, other, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "model", [RIDGE, AutoencoderConfig(encoder=[6], dropout=0.3)], ids=["ridge", "autoencoder"]
)
def test_an_ensemble_stopped_in_any_member_and_resumed_equals_never_stopped(
    tmp_path: Path, model: RidgeConfig | AutoencoderConfig
) -> None:
    train, valid = simulated()
    config = Config(model=model, train=ridge_of(steps=8, ensemble=3).train)  # 2 epochs a member
    fit(train, valid, config, tmp_path / "whole")
    for stopped in (1, 2, 3, 5):
        run = tmp_path / f"stopped {stopped}"
        with pytest.raises(KeyboardInterrupt):
            fit(train, valid, config, run, reporter=stopping_after(stopped))
        fit(train, valid, config, run, resume=True)
        assert_same_run(tmp_path / "whole", run)


def test_an_ensemble_is_the_mean_of_trainings_with_other_seeds(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, ridge_of(ensemble=3), tmp_path / "three")
    fit(train, valid, ridge_of(), tmp_path / "one")
    lines = metrics_of(tmp_path / "three")
    assert [line["member"] for line in lines] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    together = TrainedModel.load(tmp_path / "three").model
    assert isinstance(together, Ensemble)
    users, items = np.arange(10), np.arange(10)
    each = [member.predict(train, users, items) for member in together.each()]
    np.testing.assert_allclose(together.predict(train, users, items), np.mean(each, axis=0))
    alone = TrainedModel.load(tmp_path / "one").model.predict(train, users, items)
    np.testing.assert_array_equal(each[0], alone)
    assert not np.allclose(each[0], each[1])


def test_quantiles_are_those_of_the_errors_on_validation(tmp_path: Path) -> None:
    train, valid = simulated()
    for name, ensemble in (("one", 1), ("two", 2)):
        fit(train, valid, ridge_of(ensemble=ensemble), tmp_path / name)
        model = TrainedModel.load(tmp_path / name).model
        assert isinstance(model, RidgeEnsemble) == (ensemble == 2)
        pairs = align_to(valid, train)
        assert isinstance(model, Uncertain)
        predictive_std = model.predictive_std(train, pairs.users, pairs.items)
        errors = pairs.values - model.predict(train, pairs.users, pairs.items)
        below = errors / predictive_std <= float(model.quantiles[99])
        assert below.mean() == pytest.approx(0.5, abs=2 / len(pairs))


def test_ensembles_of_models_that_are_not_trained_in_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="ensemble = 2 is for the kinds autoencoder and ridge"):
        config_from_toml('[model]\nkind = "bias"\n[train]\nensemble = 2\n', where="test")
