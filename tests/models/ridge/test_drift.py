"""Items that move: what is carried forward, and when it is."""

from pathlib import Path

import numpy as np
import pytest

from refeed.config import Config, RidgeConfig, TrainConfig
from refeed.errors import ConfigError
from refeed.evaluation.metrics import rmse
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.progress import report_progress
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

DAY = 86_400
USERS, ITEMS, DAYS, LATEST = 800, 20, 1000, 30


def moving(drift: float, *, times: bool = True) -> tuple[Ratings, Ratings]:
    """Ratings of three years and of the month after; in the last 100 days half the items rise, half fall."""
    rng = np.random.default_rng(0)

    def rated(users: np.ndarray, items: np.ndarray, days: np.ndarray) -> Ratings:
        moved = drift * np.clip((days - DAYS + 100) / 100, 0, 1) * np.where(items % 2, 1, -1)
        values = 3 + moved + 0.5 * rng.standard_normal(len(users))
        return Ratings.from_arrays(
            users,
            items,
            values,
            user_ids=Ids(f"u{n}" for n in range(USERS)),
            item_ids=Ids(f"i{n}" for n in range(ITEMS)),
            times=(days * DAY).astype(np.int64) if times else None,
        )

    users, items = (grid.ravel() for grid in np.mgrid[:USERS, :ITEMS])
    past = rng.random(len(users)) < 0.8
    days = np.where(past, rng.uniform(0, DAYS, len(users)), rng.uniform(DAYS, DAYS + LATEST, len(users)))
    return tuple(rated(users[part], items[part], days[part]) for part in (past, ~past))  # type: ignore[return-value]


def ridge(drift: float | str) -> Config:
    model = RidgeConfig.model_validate(
        {"width": 3, "prior_users": 100.0, "prior_vectors": 200.0, "drift": drift}
    )
    return Config(model=model, train=TrainConfig(optimizer="adam", lr=0.01, batch=100, steps=20))


def trained(run: Path) -> RidgeAutoencoder:
    model = TrainedModel.load(run).model
    assert isinstance(model, RidgeAutoencoder)
    return model


def error_of(model: RidgeAutoencoder, train: Ratings, valid: Ratings) -> float:
    pairs = align_to(valid, train)
    return rmse(model.predict(train, pairs.users, pairs.items), pairs.values)


def test_planted_drift_is_carried_forward(tmp_path: Path) -> None:
    train, valid = moving(1.0)
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, ridge("auto"), tmp_path / "moved", reporter=reporter)
    fit(train, valid, ridge(0.0), tmp_path / "still")
    moved, still = trained(tmp_path / "moved"), trained(tmp_path / "still")
    assert (moved.drift[1::2] > 0).all()
    assert (moved.drift[::2] < 0).all()
    # Noise .5, and 1 off where nothing is carried forward.
    assert error_of(still, train, valid) > 1.0
    assert error_of(moved, train, valid) < 0.85
    assert "carried forward: validation RMSE -0." in (tmp_path / "said.txt").read_text()


def test_without_drift_nothing_is_carried_forward(tmp_path: Path) -> None:
    train, valid = moving(0.0)
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, ridge("auto"), tmp_path / "run", reporter=reporter)
    assert not trained(tmp_path / "run").drift.any()
    assert "which may be chance: left out" in (tmp_path / "said.txt").read_text()


def test_drift_over_given_days_is_the_smoothed_mean_of_the_leave_one_out_errors(tmp_path: Path) -> None:
    train, _ = moving(1.0)
    fit(train, None, ridge(60.0), tmp_path / "run")
    model = trained(tmp_path / "run")
    errors = np.zeros(len(train))
    for some in model.leave_one_out(train):
        errors[some.at] = some.errors
    assert train.times is not None
    weights = np.exp(-(train.times.max() - train.times) / DAY / 60)
    for item in range(ITEMS):
        of_item = train.items == item
        expected = (weights * errors)[of_item].sum() / (weights[of_item].sum() + 20)
        assert float(model.drift[item] * model.deviation) == pytest.approx(expected, abs=1e-6)


def test_each_member_of_an_ensemble_carries_its_own_drift_forward(tmp_path: Path) -> None:
    train, valid = moving(1.0)
    config = ridge("auto")
    config = config.model_copy(update={"train": config.train.model_copy(update={"ensemble": 2})})
    fit(train, valid, config, tmp_path / "run")
    weights = TrainedModel.load(tmp_path / "run").model.state_dict()  # type: ignore[attr-defined]
    first, second = (weights[f"members.{member}.drift"] for member in range(2))
    assert first.any()
    assert second.any()
    assert not (first == second).all()


def test_the_last_weights_carry_drift_forward_as_the_best_do(tmp_path: Path) -> None:
    train, valid = moving(1.0)
    fit(train, valid, ridge("auto"), tmp_path / "run")
    last = TrainedModel.load(tmp_path / "run", "last").model
    assert isinstance(last, RidgeAutoencoder)
    assert last.drift.any()


def test_without_times_or_held_out_ratings_no_drift_is_looked_for(tmp_path: Path) -> None:
    train, _ = moving(1.0)
    fit(train, None, ridge("auto"), tmp_path / "no validation")
    assert not trained(tmp_path / "no validation").drift.any()
    train, valid = moving(1.0, times=False)
    fit(train, valid, ridge("auto"), tmp_path / "no times")
    # All items may be moved alike (models/ridge/shift.py).
    assert float(np.ptp(trained(tmp_path / "no times").drift.numpy())) == 0


def test_drift_that_is_asked_for_needs_times(tmp_path: Path) -> None:
    train, valid = moving(1.0, times=False)
    with pytest.raises(ConfigError, match=r"model\.drift = 60 needs the times of the ratings"):
        fit(train, valid, ridge(60.0), tmp_path / "run")
    assert not (tmp_path / "run").exists()
