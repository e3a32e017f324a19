"""Predictions and lists from a trained model, on a linear one whose answers are known."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from typing import Literal

import numpy as np
import pytest
from jaxtyping import Float32, Float64, Int64
from torch import nn

from refeed.baselines.bias import BiasModel
from refeed.config import BiasConfig, Config
from refeed.errors import ConfigError, DataError, ModelError, UnknownIdError
from refeed.inference.recommender import Recommendation, Recommender, SimilarItem
from refeed.model_items import Items
from refeed.ratings.ids import Ids
from refeed.ratings.sample import load_sample
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

ITEMS = ("a", "b", "c", "d", "e")
TITLES = ("Alien (1979)", "Brazil (1985)", "Casablanca (1942)", "", "Exit = Wound (2001)")
USERS = ("u1", "u2", "u3")
# u1 rates a and b, u2 all but e, u3 a alone.
ROWS = [(0, 0, 5.0), (0, 1, 3.0), (1, 0, 1.0), (1, 1, 2.0), (1, 2, 4.5), (1, 3, 0.5), (2, 0, 4.0)]


class Linear(nn.Module):
    """x W + 3 of the dense history x."""

    def __init__(self, n_items: int, axis: Literal["user", "item"] = "user") -> None:
        super().__init__()
        self.axis: Literal["user", "item"] = axis
        self.folds_in = axis == "user"
        self.weights = np.random.default_rng(3).normal(size=(n_items, n_items)) / 3

    def _rows(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float64[np.ndarray, "users items"]:
        dense = np.zeros((histories.n_users, histories.n_items))
        dense[histories.users, histories.items] = histories.values
        outputs: Float64[np.ndarray, "users items"] = dense[users] @ self.weights + 3
        return outputs

    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        pairs: Float64[np.ndarray, " pairs"] = self._rows(histories, users)[np.arange(len(items)), items]
        return pairs

    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        return self._rows(histories, users).astype(np.float32)

    def item_vectors(self) -> Float32[np.ndarray, "items width"]:
        return self.weights.astype(np.float32)


def ratings_of(rows: Sequence[tuple[int, int, float]]) -> Ratings:
    users, items, values = zip(*rows, strict=True)
    return Ratings.from_arrays(
        np.array(users),
        np.array(items),
        np.array(values, dtype=np.float32),
        user_ids=Ids(USERS),
        item_ids=Ids(ITEMS),
        titles=TITLES,
    )


def folder_of(train: Ratings, axis: Literal["user", "item"] = "user") -> TrainedModel:
    return TrainedModel(
        config=Config(model=BiasConfig()),
        model=Linear(train.n_items, axis),
        items=Items.of(train),
        scale=train.scale,
        n_users=train.n_users,
        histories=train,
    )


@pytest.fixture
def train() -> Ratings:
    return ratings_of(ROWS)


@pytest.fixture
def recommender(train: Ratings) -> Recommender:
    return Recommender(folder_of(train))


def answer(*ratings: tuple[int, float]) -> Float64[np.ndarray, " items"]:
    """What the linear model says of somebody, not clipped."""
    x = np.zeros(5)
    for item, value in ratings:
        x[item] = value
    said: Float64[np.ndarray, " items"] = x @ Linear(5).weights + 3
    return said


def test_predictions_are_the_models(recommender: Recommender) -> None:
    expected = answer((0, 5), (1, 3))
    assert recommender.predict("u1", clip=False) == pytest.approx(expected, abs=1e-6)
    assert recommender.predict("u1", ["e", "c"], clip=False) == pytest.approx(expected[[4, 2]])
    assert recommender.predict("u1", "e", clip=False) == pytest.approx(expected[4])


def test_a_mapping_gives_what_the_same_known_user_gets(recommender: Recommender) -> None:
    by_hand = recommender.predict({"brazil (1985)": 3, "a": 5.0})
    assert by_hand.tolist() == recommender.predict("u1").tolist()


def test_users_and_items_as_sequences_are_pairs(recommender: Recommender) -> None:
    pairs = recommender.predict(["u1", "u2", "u1"], ["c", "c", "e"])
    singles = [recommender.predict("u1", "c"), recommender.predict("u2", "c"), recommender.predict("u1", "e")]
    assert pairs == pytest.approx(singles)


def test_users_without_items_get_a_row_each(recommender: Recommender) -> None:
    rows = recommender.predict(["u2", {"a": 2}, "u1"])
    assert rows.shape == (3, 5)
    assert rows[0] == pytest.approx(recommender.predict("u2"))
    assert rows[1] == pytest.approx(recommender.predict({"a": 2}))
    assert rows[2] == pytest.approx(recommender.predict("u1"))


def test_no_users_get_no_rows(recommender: Recommender) -> None:
    assert recommender.predict([]).shape == (0, 5)
    assert recommender.predict([], []).shape == (0,)
    assert recommender.predict("u1", []).shape == (0,)


def test_predictions_stay_within_the_training_scale_unless_asked(recommender: Recommender) -> None:
    free = np.concatenate([recommender.predict(user, clip=False) for user in USERS])
    assert free.min() < 0.5
    assert free.max() > 5.0
    clipped = np.concatenate([recommender.predict(user) for user in USERS])
    assert clipped.tolist() == np.clip(free, 0.5, 5.0).tolist()


def test_somebody_without_ratings_gets_the_general_list(recommender: Recommender) -> None:
    assert recommender.predict({}).tolist() == [3.0] * 5
    assert [line.item for line in recommender.recommend({})] == list(ITEMS)


def test_a_list_leaves_out_what_was_seen(recommender: Recommender) -> None:
    assert {line.item for line in recommender.recommend("u1")} == {"c", "d", "e"}
    assert {line.item for line in recommender.recommend({"Alien (1979)": 4})} == {"b", "c", "d", "e"}
    assert {line.item for line in recommender.recommend("u1", include_seen=True)} == set(ITEMS)


def test_a_list_keeps_to_the_filters(recommender: Recommender) -> None:
    assert {line.item for line in recommender.recommend("u1", only=["a", "casablanca (1942)"])} == {"c"}
    assert {line.item for line in recommender.recommend("u1", exclude=["c", "e"])} == {"d"}
    assert recommender.recommend("u1", only=["c"], exclude=["c"]) == []
    assert recommender.recommend("u1", only=[]) == []


def test_one_item_will_do_as_a_filter(recommender: Recommender) -> None:
    assert [line.item for line in recommender.recommend("u1", only="Casablanca (1942)")] == ["c"]
    assert {line.item for line in recommender.recommend("u1", exclude="c")} == {"d", "e"}


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_list_has_k_lines_or_all_candidates_the_best_first(recommender: Recommender, k: int) -> None:
    lines = recommender.recommend("u1", k)
    assert len(lines) == min(k, 3)
    assert [line.score for line in lines] == sorted((line.score for line in lines), reverse=True)
    assert lines == recommender.recommend("u1", 3)[:k]


def test_a_line_says_what_is_known_of_the_item(recommender: Recommender) -> None:
    predictions, support = answer((0, 5), (1, 3)), np.array([3, 2, 1, 1, 0])
    level = predictions @ support / 7
    advantage = predictions[2] - level
    (line,) = recommender.recommend("u1", only=["c"])
    assert (line.item, line.title, line.support) == ("c", "Casablanca (1942)", 1)
    assert line.rating == pytest.approx(np.clip(predictions[2], 0.5, 5), abs=1e-6)
    assert line.score == pytest.approx(level + max(advantage, 0) / 21 + min(advantage, 0), abs=1e-5)
    assert recommender.recommend("u1", only=["d"])[0].title is None


def test_without_shrinking_the_best_prediction_is_first(recommender: Recommender) -> None:
    predictions = answer((0, 4))
    expected = sorted([1, 2, 3], key=lambda item: -predictions[item])
    lines = recommender.recommend("u3", only=["b", "c", "d"], shrink=0.0)
    assert [line.item for line in lines] == [ITEMS[item] for item in expected]
    assert [line.score for line in lines] == pytest.approx(predictions[expected], abs=1e-5)


def test_equal_scores_keep_the_order_of_the_items(train: Ratings) -> None:
    folder = folder_of(train)
    model = BiasModel(BiasConfig(damping=[0.0, 0.0]), 5)  # not fitted: every prediction is 0
    lines = Recommender(replace(folder, model=model)).recommend({}, 4)
    assert [line.item for line in lines] == ["a", "b", "c", "d"]


def test_an_item_that_three_people_rated_tops_no_list_of_real_films() -> None:
    train = load_sample()
    model = BiasModel(
        BiasConfig(damping=[5.0, 0.0]), train.n_items
    )  # undamped: rare items get their own mean
    model.fit(train)
    folder = TrainedModel(
        config=Config(model=BiasConfig()),
        model=model,
        items=Items.of(train),
        scale=train.scale,
        n_users=train.n_users,
        histories=train,
    )
    recommender = Recommender(folder)
    ratings = {"Alien (1979)": 5, "Toy Story (1995)": 4, "Heat (1995)": 3.5}
    assert {line.support for line in recommender.recommend(ratings, shrink=0.0)} == {1}
    assert min(line.support for line in recommender.recommend(ratings)) >= 30


def test_similar_items_are_the_nearest_by_cosine(recommender: Recommender) -> None:
    vectors = Linear(5).weights
    lengths = np.linalg.norm(vectors, axis=1)
    expected = vectors @ vectors[0] / (lengths * lengths[0])
    lines = recommender.similar_items("alien (1979)")
    assert {line.item for line in lines} == {"b", "c", "d", "e"}
    support = np.array([3, 2, 1, 1, 0])
    for line in lines:
        position = ITEMS.index(line.item)
        assert line.similarity == pytest.approx(expected[position], abs=1e-6)
        assert line.score == pytest.approx(
            expected[position] * support[position] / (support[position] + 20), abs=1e-6
        )
    assert [line.score for line in lines] == sorted((line.score for line in lines), reverse=True)
    assert recommender.similar_items("a", 2) == lines[:2]


def test_a_model_without_vectors_has_no_similar_items(train: Ratings) -> None:
    recommender = Recommender(replace(folder_of(train), model=BiasModel(BiasConfig(), 5)))
    with pytest.raises(ModelError, match="no vectors of its items"):
        recommender.similar_items("a")


def test_an_unknown_user_is_named_with_close_matches(recommender: Recommender) -> None:
    with pytest.raises(UnknownIdError, match=r"unknown user 'u11': not among the 3 users .* close .* 'u1'"):
        recommender.predict("u11")
    with pytest.raises(UnknownIdError, match="unknown users 'x', 'y': not"):
        recommender.predict(["x", "u1", "y", "x"])
    with pytest.raises(UnknownIdError, match="unknown user 'x': not"):
        recommender.predict([{"a": 1}, "x"])


def test_unknown_items_are_named_wherever_they_are_given(recommender: Recommender) -> None:
    for call in (
        lambda: recommender.predict("u1", ["Alien", "a"]),
        lambda: recommender.predict({"Alien": 4, "a": 2}),
        lambda: recommender.recommend("u1", only=["Alien"]),
        lambda: recommender.recommend("u1", exclude=["Alien"]),
        lambda: recommender.similar_items("Alien"),
    ):
        with pytest.raises(
            UnknownIdError, match=r"unknown item 'Alien'; close to it: 'Alien \(1979\)' \(id 'a'\)"
        ):
            call()


@pytest.mark.parametrize(
    ("rating", "message"),
    [
        (float("nan"), "the rating nan for 'a' is no finite number"),
        (float("inf"), "the rating inf for 'a' is no finite number"),
        (5.5, "the rating 5.5 for 'a' is off the scale of the training ratings, 0.5 to 5"),
        (0, "the rating 0 for 'a' is off the scale"),
        (1e300, "off the scale"),
    ],
)
def test_a_rating_must_be_a_number_on_the_scale(
    recommender: Recommender, rating: float, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        recommender.predict({"b": 3, "a": rating})


def test_the_ends_of_a_scale_that_float32_rounds_are_on_it() -> None:
    train = ratings_of([(0, 0, 0.1), (1, 1, 0.7), (2, 2, 0.3)])
    recommender = Recommender(folder_of(train))
    assert recommender.predict({"a": 0.1, "b": 0.7}).shape == (5,)


def test_an_item_rated_twice_is_refused(recommender: Recommender) -> None:
    with pytest.raises(DataError, match=r"'a' and 'ALIEN \(1979\)' are the same item; rate it once"):
        recommender.recommend({"a": 3, "ALIEN (1979)": 4})


def test_sequences_of_different_lengths_are_refused(recommender: Recommender) -> None:
    with pytest.raises(DataError, match="2 users and 3 items"):
        recommender.predict(["u1", "u2"], ["a", "b", "c"])
    with pytest.raises(DataError, match="1 users and 1 items"):
        recommender.predict(["u1"], "a")


def test_a_list_of_nothing_is_refused(recommender: Recommender) -> None:
    with pytest.raises(ConfigError, match="k = 0"):
        recommender.recommend("u1", 0)
    with pytest.raises(ConfigError, match="shrink = -1"):
        recommender.recommend("u1", shrink=-1.0)
    with pytest.raises(ConfigError, match="shrink = nan"):
        recommender.similar_items("a", shrink=float("nan"))


def test_without_histories_only_mappings_are_served(train: Ratings, recommender: Recommender) -> None:
    private = Recommender(replace(folder_of(train), histories=None))
    assert private.predict({"a": 5, "b": 3}).tolist() == recommender.predict("u1").tolist()
    assert private.predict([{"a": 5, "b": 3}, {}], ["c", "c"])[0] == recommender.predict("u1", "c")
    with pytest.raises(UnknownIdError, match="histories of the training users have been removed"):
        private.predict("u1")
    with pytest.raises(UnknownIdError, match="histories of the training users have been removed"):
        private.recommend("u1")


def test_an_item_based_model_knows_its_training_users_only(train: Ratings) -> None:
    recommender = Recommender(folder_of(train, axis="item"))
    assert recommender.predict("u1").shape == (5,)
    with pytest.raises(UnknownIdError, match="item-based"):
        recommender.predict({"a": 5})
    with pytest.raises(UnknownIdError, match="item-based"):
        recommender.predict(["u1", {"a": 5}])


def test_nothing_in_it_can_be_changed(recommender: Recommender) -> None:
    with pytest.raises(FrozenInstanceError):
        recommender.trained = recommender.trained  # type: ignore[misc]
    assert type(recommender.recommend("u1")[0]) is Recommendation
    with pytest.raises(FrozenInstanceError):
        recommender.similar_items("a")[0].item = "b"  # type: ignore[misc]
    assert type(recommender.similar_items("a")[0]) is SimilarItem


def test_loading_what_is_no_model_folder_says_so(tmp_path: object) -> None:
    with pytest.raises(ModelError, match="nowhere is no model folder"):
        Recommender.load(f"{tmp_path}/nowhere")


def test_threads_may_share_one(train: Ratings) -> None:
    expected = Recommender(folder_of(train)).recommend({"Alien (1979)": 2}, 3)
    shared = Recommender(folder_of(train))  # fresh: the threads meet in its first look at the titles
    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda _: shared.recommend({"Alien (1979)": 2}, 3), range(64)))
    assert all(lines == expected for lines in lists)
