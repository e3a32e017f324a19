"""Every way to rank keeps to the rules of lists, whatever is asked for."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.config import Config, LinearConfig, LocalConfig, MultinomialConfig, RidgeConfig, TrainConfig
from refeed.errors import ConfigError, ModelError
from refeed.inference.listing import listing_of
from refeed.inference.recommender import Recommender
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

USERS, ITEMS = 24, 15
PARTS: dict[str, Any] = {
    "linear": LinearConfig(ridge=2.0, grade=0.5, recency=1.0, recency_span=3.0),
    "local": LocalConfig(ridge=2.0, neighbours=4),
    "multinomial": MultinomialConfig(encoder=[4], epochs=2, batch=8, popularity=0.1),
    "none": None,
}
WAYS = [
    (part, by)
    for part in PARTS
    for by in ("both", "interaction", "rating")
    if part != "none" or by == "rating"
]


def ratings() -> Ratings:
    """Some ratings at some times; the items 13 and 14 look exactly alike, as nobody but user 0 rated them."""
    rng = np.random.default_rng(0)
    rated = rng.random((USERS, ITEMS)) < 0.4
    rated[1], rated[2] = False, True
    rated[:, 13:] = False
    rated[0, 13:] = True
    users, items = np.nonzero(rated)
    values = np.where(items >= 13, 4.0, rng.integers(1, 11, len(users)) / 2)
    return Ratings.from_arrays(
        users,
        items,
        values,
        times=1_000_000_000 + np.where(items >= 13, 0, rng.permutation(len(users))),
        user_ids=Ids(f"u{n}" for n in range(USERS)),
        item_ids=Ids(f"i{n}" for n in range(ITEMS)),
        titles=[f"Film {n}" for n in range(ITEMS)],
    )


@cache
def model(part: str) -> Recommender:
    config = Config(
        model=RidgeConfig(width=3, prior_users=20.0, prior_vectors=40.0),
        train=TrainConfig(optimizer="adam", lr=0.01, schedule="cosine", batch=16, steps=10),
        interactions=PARTS[part],
    )
    return Recommender(fit(ratings(), None, config))


@pytest.mark.parametrize(("part", "by"), WAYS)
@settings(max_examples=12)
@given(data=st.data())
def test_a_list_is_what_is_left_of_the_candidates_by_score(part: str, by: str, data: st.DataObject) -> None:
    recommender = model(part)
    someone = st.sampled_from([f"u{n}" for n in range(USERS)])
    items = st.lists(st.sampled_from([f"i{n}" for n in range(ITEMS)]), max_size=ITEMS, unique=True)
    who: Any = data.draw(
        someone
        | st.dictionaries(st.sampled_from([f"i{n}" for n in range(ITEMS)]), st.sampled_from([0.5, 3.0, 5.0]))
    )
    only, exclude = data.draw(st.none() | items), data.draw(st.none() | items)
    k, offset = data.draw(st.integers(1, ITEMS + 3)), data.draw(st.integers(0, 5))
    include, least = data.draw(st.booleans()), data.draw(st.integers(0, 12))
    wish: dict[str, Any] = {"by": by, "only": only, "exclude": exclude, "include_seen": include}
    wish |= {"where": f"ratings >= {least}"}
    lines = recommender.recommend(who, k, offset=offset, **wish)

    counts = recommender.trained.items.counts
    candidates = set(range(ITEMS)) if only is None else {int(item[1:]) for item in only}
    candidates -= {int(item[1:]) for item in exclude or ()}
    candidates = {item for item in candidates if counts[item] >= least}
    if not include:
        candidates -= seen(recommender, who)
    assert len(lines) == max(0, min(k, len(candidates) - offset))
    assert {int(line.item[1:]) for line in lines} <= candidates
    keys = [(-line.score, int(line.item[1:])) for line in lines]
    assert keys == sorted(keys)  # by score; ties in the order of the items
    whole = recommender.recommend(who, ITEMS, **wish)
    assert [line.item for line in lines] == [line.item for line in whole[offset : offset + k]]
    for line in lines:
        assert line.p_liked is None if part == "none" else 0 < line.p_liked < 1
        assert 0.5 <= line.rating <= 5.0
        assert line.support == counts[int(line.item[1:])]


def seen(recommender: Recommender, who: Any) -> set[int]:
    if isinstance(who, dict):
        return {int(item[1:]) for item in who}
    _, items, _ = recommender.histories.rows(np.array([int(who[1:])]))
    return set(items.tolist())


@pytest.mark.parametrize(("part", "by"), WAYS)
def test_alone_among_many_and_reloaded_somebody_gets_the_same_list(part: str, by: str, tmp_path: Any) -> None:
    recommender = model(part)
    recommender.save(tmp_path / "run")
    again = Recommender.load(tmp_path / "run")
    people: list[Any] = [f"u{n}" for n in range(USERS)] + [
        {},
        {"i3": 5.0, "i4": 0.5},
    ]  # with strangers beside
    together = recommender.recommend(people, ITEMS, by=by)
    for who, among in zip(people, together, strict=True):
        alone, reloaded = (one.recommend(who, ITEMS, by=by) for one in (recommender, again))
        assert [line.item for line in reloaded] == [line.item for line in alone]
        assert [line.item for line in among] == [line.item for line in alone]
        assert [line.score for line in among] == pytest.approx([line.score for line in alone], abs=1e-4)


@pytest.mark.parametrize("part", ["linear", "local", "multinomial"])
def test_explanations_of_both_parts_add_up(part: str) -> None:
    recommender = model(part)
    for who in ("u5", "u1", "u2", {"i3": 5.0, "i4": 0.5}, {}):
        explanation = recommender.explain(who, "i9")
        total = explanation.level + sum(line.adds for line in explanation.parts)
        assert total == pytest.approx(recommender.predict(who, "i9", clip=False), abs=1e-5)
        taken = explanation.taken
        assert taken is not None
        assert taken.everybody + sum(line.adds for line in taken.parts) == pytest.approx(
            taken.score, abs=1e-9
        )
        (line,) = recommender.recommend(who, only="i9", include_seen=True, by="interaction")
        assert taken.score == pytest.approx(line.score, abs=1e-5)
        assert explanation.p_liked == pytest.approx(line.p_liked, abs=1e-6)


def test_the_score_is_the_formula() -> None:
    recommender = model("linear")
    part = recommender.trained.lists
    assert part is not None
    items = [f"i{n}" for n in range(ITEMS)]
    both, taken = (
        recommender.recommend("u5", ITEMS, by=by, beta=beta, include_seen=True, only=items)
        for by, beta in (("both", 0.7), ("interaction", None))
    )
    scores = {line.item: line.score for line in taken}
    for line in both:
        expected = np.log(max(scores[line.item], part.weights.floor)) + 0.7 * np.log(line.p_liked)
        assert line.score == pytest.approx(expected, abs=1e-4)


def test_the_higher_the_rating_that_counts_as_liked_the_less_likely_it_is() -> None:
    recommender = model("linear")
    easy, hard = (
        {line.item: line.p_liked for line in recommender.recommend("u5", ITEMS, liked=liked)}
        for liked in (2.0, 4.5)
    )
    assert all(hard[item] <= easy[item] for item in easy)
    assert any(hard[item] < easy[item] for item in easy)


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "taste"},
        {"beta": -1},
        {"beta": "much"},
        {"liked": 6},
        {"liked": "good"},
        {"cautious": -1},
        {"offset": -1},
        {"by": "both", "cautious": 1},
        {"offset": 1.5},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        model("linear").recommend("u5", **wrong)


def test_a_model_without_the_second_part_says_so() -> None:
    with pytest.raises(ModelError, match=r"\[interactions\]"):
        model("none").recommend("u5", by="interaction")
    assert listing_of(model("none").trained).by == "rating"
