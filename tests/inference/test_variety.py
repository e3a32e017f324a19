"""Lists with more variety."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refeed.errors import ConfigError, ModelError
from refeed.inference.variety import check_share, diversified, explored, pool

SCORES = np.array([1.0, 0.9, 0.8, 0.0])
ALIKE = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)  # two pairs of twins
RANKED = np.arange(4)


def test_without_diversity_the_best_stay_in_order() -> None:
    assert diversified(RANKED, SCORES, ALIKE, 3, 0.0).tolist() == [0, 1, 2]


def test_the_twin_of_the_best_gives_way_to_another_kind() -> None:
    assert diversified(RANKED, SCORES, ALIKE, 2, 0.5).tolist() == [0, 2]


def test_it_is_maximal_marginal_relevance() -> None:
    rng = np.random.default_rng(0)
    scores = np.sort(rng.random(12))[::-1].copy()
    vectors = rng.normal(size=(12, 3)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = (scores - scores.min()) / np.ptp(scores)
    chosen = [0]
    while len(chosen) < 5:
        worth = {
            at: 0.6 * relevance[at]
            - 0.4 * max(0.0, *(float(unit[at] @ unit[other]) for other in chosen), 0.0)
            for at in range(12)
            if at not in chosen
        }
        chosen.append(max(worth, key=lambda at: worth[at]))
    assert diversified(np.arange(12), scores, vectors, 5, 0.4).tolist() == chosen


@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 5))
def test_it_chooses_each_item_once_and_as_many_as_there_are(k: int, diversity: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranked = rng.permutation(20)[:6]
    scores = np.sort(rng.random(6))[::-1].copy()
    chosen = diversified(ranked, scores, rng.normal(size=(20, 2)).astype(np.float32), k, diversity)
    assert len(set(chosen.tolist())) == len(chosen) == min(k, 6)
    assert set(chosen.tolist()) <= set(ranked.tolist())
    assert chosen[0] == ranked[0] or diversity == 1


def test_a_model_without_vectors_can_not_tell_what_is_alike() -> None:
    with pytest.raises(ModelError, match="no vectors"):
        diversified(RANKED, SCORES, None, 2, 0.5)


def test_diversity_chooses_among_five_times_as_many() -> None:
    assert (pool(10, 0.3), pool(10, 0.0)) == (50, 10)


COLD = np.array([False, False, False, True, True, True])


def test_with_a_share_of_one_every_place_is_of_a_cold_item_while_there_are_some() -> None:
    mixed = explored([0, 1, 2], COLD, 1.0, seed=0)
    assert sorted(mixed) == [3, 4, 5]
    assert sorted(explored([0, 1, 2, 3], COLD, 1.0, seed=0))[:1] != [0]


@given(st.floats(0, 1), st.integers(0, 100))
def test_no_item_is_in_a_mixed_list_twice(share: float, seed: int) -> None:
    listed = [0, 4, 1]
    mixed = explored(listed, COLD, share, seed)
    assert len(set(mixed)) == len(mixed) == 3
    assert mixed == explored(listed, COLD, share, seed)  # the same seed, the same list
    assert all(new == old or COLD[new] for new, old in zip(mixed, listed, strict=True))


def test_the_share_is_the_chance_of_a_place() -> None:
    cold = np.arange(200) >= 100
    places = [sum(item >= 100 for item in explored(list(range(20)), cold, 0.25, seed)) for seed in range(400)]
    assert np.mean(places) == pytest.approx(5, abs=0.3)  # 20 places, a quarter; σ of the mean is 0.1


@pytest.mark.parametrize("share", [-0.1, 1.1, "much", True, float("nan")])
def test_a_share_that_is_none_is_refused(share: object) -> None:
    with pytest.raises(ConfigError, match="diversity"):
        check_share("diversity", share)
