"""Which users make which batch."""

import threading

import numpy as np
import pytest
import torch

from refeed.config import AutoencoderConfig, Config, TrainConfig
from refeed.models.autoencoder.example import Example
from refeed.models.autoencoder.learner import AutoencoderLearner
from refeed.models.autoencoder.network import Autoencoder
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime
from refeed.training.batches import Batches


def batches(users: int, config: TrainConfig) -> Batches[Example]:
    """Each user u rates the one item with 1 + u, and every fifth user rates nothing."""
    raters = np.array([u for u in range(users) if u % 5])
    known = Ratings.from_arrays(
        raters,
        np.zeros(len(raters), dtype=np.int64),
        1.0 + raters,
        user_ids=Ids(f"u{u}" for u in range(users)),
        item_ids=Ids(["i"]),
    )
    network = AutoencoderConfig(encoder=[1])
    learner = AutoencoderLearner(Autoencoder(network, 1), Config(model=network, train=config), known)
    return Batches(learner, config, Runtime(torch.device("cpu")))


def seen(source: Batches[Example], epoch: int, first: int = 0) -> list[list[float]]:
    return [share.example.targets.values.tolist() for share in source.epoch(epoch, first)]


def test_an_epoch_shows_every_user_who_rated_once() -> None:
    shown = [value for batch in seen(batches(50, TrainConfig(batch=7)), 0) for value in batch]
    assert sorted(shown) == [1.0 + u for u in range(50) if u % 5]


def test_the_order_is_another_in_each_epoch_and_the_same_for_the_same_seed() -> None:
    one, two = (batches(50, TrainConfig(batch=7, seed=3)) for _ in range(2))
    assert seen(one, 0) == seen(two, 0) != seen(one, 1)
    assert seen(batches(50, TrainConfig(batch=7, seed=4)), 0) != seen(one, 0)


def test_an_epoch_can_be_entered_at_any_batch() -> None:
    source = batches(50, TrainConfig(batch=7))
    assert seen(source, 2, first=3) == seen(source, 2)[3:]


@pytest.mark.parametrize(
    ("users", "drop_last", "expected"),
    [(50, False, [16, 16, 8]), (50, True, [16, 16]), (10, True, [8]), (10, False, [8])],
)
def test_the_partial_batch_is_dropped_if_asked_for_and_not_the_only_one(
    users: int, drop_last: bool, expected: list[int]
) -> None:
    source = batches(users, TrainConfig(batch=16, drop_last=drop_last))
    assert [len(batch) for batch in seen(source, 0)] == expected
    assert len(source) == len(expected)
    assert source.users_an_epoch == sum(expected)


@pytest.mark.parametrize(("users", "size"), [(100, 128), (5000, 200), (200_000, 4096)])
def test_an_automatic_batch_is_a_twentieth_of_the_users_within_bounds(users: int, size: int) -> None:
    raters = users * 4 // 5
    assert len(batches(users, TrainConfig(batch="auto"))) == -(-raters // size)


def making_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_leaving_an_epoch_early_leaves_no_thread_behind() -> None:
    shares = batches(50, TrainConfig(batch=7)).epoch(0)
    next(shares)
    assert making_threads()
    shares.close()  # type: ignore[attr-defined]
    assert not making_threads()


def test_an_error_in_making_a_batch_reaches_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    source = batches(50, TrainConfig(batch=7))
    whole_example = source.learner.example

    def broken(place: tuple[int, int, int], users: np.ndarray, mine: slice) -> Example:
        if place[2] == 2:
            raise OSError("the ratings are gone")
        return whole_example(place, users, mine)

    monkeypatch.setattr(source.learner, "example", broken)
    shares = source.epoch(0)
    assert [next(shares).number for _ in range(2)] == [0, 1]
    with pytest.raises(OSError, match="the ratings are gone"):
        next(shares)
    assert not making_threads()
