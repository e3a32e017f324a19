"""The autoencoder with a softmax over the items."""

import numpy as np
import pytest
import torch

from refeed.config.interactions import MultinomialConfig
from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.choose import fit_interactions, load_interactions
from refeed.models.interactions.fit_multinomial import multinomial_loss
from refeed.models.interactions.interface import InteractionModel
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

SMALL = MultinomialConfig(encoder=[8], epochs=3, batch=8, popularity=0.1)


def silent(_: str) -> None:
    """For those who don't want to hear of epochs."""


def two_camps(users: int = 60, seed: int = 0) -> Ratings:
    """Half of the users take some of the items 0 to 9, the other half some of 10 to 19."""
    rng = np.random.default_rng(seed)
    taken = rng.random((users, 20)) < 0.4
    taken[: users // 2, 10:] = False
    taken[users // 2 :, :10] = False
    of_user, of_item = np.nonzero(taken)
    return Ratings.from_arrays(
        of_user,
        of_item,
        np.ones(len(of_user)),
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(20)),
    )


def test_the_loss_is_the_negative_log_likelihood_of_the_own_items() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5], [9.0, 9.0, 9.0]])
    batch = Batch(
        torch.tensor([0, 2, 3, 3], dtype=torch.int32),
        torch.tensor([0, 2, 1], dtype=torch.int32),
        torch.tensor([1.0, 2.0, 1.0]),
        3,
    )
    logs = logits.log_softmax(dim=1)
    expected = -(logs[0, 0] + 2 * logs[0, 2] + logs[1, 1]) / 2  # the third has nothing and does not count
    assert float(multinomial_loss(logits, batch)) == pytest.approx(float(expected))


def test_it_learns_who_belongs_to_which_camp() -> None:
    train, valid = two_camps(), two_camps(seed=1)
    config = MultinomialConfig(encoder=[8], epochs=40, batch=8, lr=0.01)
    lines: list[str] = []
    _, model = fit_interactions(config, train, valid, lines.append)
    scores = model.score_all(train, np.arange(60))
    assert scores[:30, :10].mean() > 3 * scores[:30, 10:].mean()
    assert scores[30:, 10:].mean() > 3 * scores[30:, :10].mean()
    assert any("most popular list" in line for line in lines)


def test_one_by_one_in_blocks_and_after_saving_scores_are_the_same() -> None:
    train = two_camps()
    config, model = fit_interactions(SMALL, train, say=silent)
    assert isinstance(model, InteractionModel)
    again = load_interactions(config, train.n_items, model.state_dict())
    users = np.arange(train.n_users)
    scores = model.score_all(train, users)
    for size in (1, 7, 100):
        np.testing.assert_allclose(torch.cat(list(model.score_blocks(train, users, size))), scores, rtol=1e-5)
    np.testing.assert_array_equal(again.score_all(train, users), scores)
    everything = np.tile(np.arange(train.n_items), len(users))
    of_pairs = model.score(train, np.repeat(users, train.n_items), everything)
    np.testing.assert_allclose(of_pairs.reshape(scores.shape), scores, rtol=1e-5)


def test_the_parts_of_an_explanation_add_up_to_the_score() -> None:
    train = two_camps()
    _, model = fit_interactions(SMALL, train, say=silent)
    for user in (0, 17, 59):
        base, parts = model.explain(train, user, 5)
        assert len(parts) == train.user_counts[user]
        score = model.score(train, np.array([user]), np.array([5]))
        np.testing.assert_allclose(base + parts.sum(), score[0], rtol=1e-5)


def test_a_seed_gives_the_same_model_twice() -> None:
    train = two_camps()
    _, one = fit_interactions(SMALL, train, say=silent)
    _, other = fit_interactions(SMALL, train, say=silent)
    np.testing.assert_array_equal(one.score_all(train, np.arange(5)), other.score_all(train, np.arange(5)))


def test_whoever_has_no_history_has_scores_and_an_explanation() -> None:
    train = two_camps()
    train = train.select(train.users != 3)
    _, model = fit_interactions(SMALL, train, say=silent)
    assert np.isfinite(model.score_all(train, np.array([3]))).all()
    base, parts = model.explain(train, 3, 1)
    assert len(parts) == 0
    assert base == pytest.approx(float(model.score(train, np.array([3]), np.array([1]))[0]), rel=1e-5)
