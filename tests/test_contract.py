"""What every model keeps to, whatever its kind: a new one joins by a line in RECIPES."""

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load, save

from refeed.config import AutoencoderConfig, BiasConfig, Config, MeanConfig, RidgeConfig, TrainConfig
from refeed.config.baselines import (
    CornacMFConfig,
    LenskitMFConfig,
    MyFMConfig,
    PmfConfig,
    RrnConfig,
    SurpriseConfig,
    SvdppConfig,
    TimeSvdppConfig,
)
from refeed.errors import ConfigError, DataError, ModelError, UnknownIdError
from refeed.evaluation.evaluate import compare, evaluate
from refeed.factory import build_model
from refeed.inference.recommender import Recommender
from refeed.models.explaining import Explaining
from refeed.models.interface import InTime, predict_pairs
from refeed.models.intervals import Uncertain
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

_SHORT = TrainConfig(optimizer="adamw", lr=0.01, batch=16, epochs=3)
_STEPS = TrainConfig(optimizer="adam", lr=0.01, schedule="cosine", batch=16, steps=10)

RECIPES = {
    "mean": Config(model=MeanConfig()),
    "bias": Config(model=BiasConfig()),
    "paper": Config(
        model=AutoencoderConfig(encoder=[8, 12], decoder=[6], dropout=0.5),
        train=TrainConfig(lr=0.005, batch=16, epochs=3, refeed=1, schedule="steps", milestones=[2]),
    ),
    "tied": Config(
        model=AutoencoderConfig(encoder=[8, 6], tied=True, activation="elu", output_activation=False),
        train=_SHORT,
    ),
    "residual": Config(
        model=AutoencoderConfig(
            encoder=[8], target="residual", input_scale="sqrt", rated_channel=True, output_activation=False
        ),
        train=_SHORT,
    ),
    "ridge": Config(model=RidgeConfig(width=3, prior_users=20.0, prior_vectors=40.0), train=_STEPS),
    "ridge float64": Config(
        model=RidgeConfig(width=3), train=_STEPS.model_copy(update={"precision": "float64"})
    ),
    "ensemble of ridges": Config(model=RidgeConfig(width=3), train=_STEPS.model_copy(update={"ensemble": 3})),
    "blend": Config(
        model=RidgeConfig(width=3, prior_users=20.0, prior_vectors=40.0),
        train=_STEPS.model_copy(update={"keep_state": True}),  # and with it a network that weighs nothing
        network=AutoencoderConfig(encoder=[8], target="residual", output_activation=False),
        network_train=_SHORT,
    ),
    "ensemble": Config(model=AutoencoderConfig(encoder=[8]), train=_SHORT.model_copy(update={"ensemble": 2})),
    "item-based": Config(
        model=AutoencoderConfig(axis="item", encoder=[8], target="residual", output_activation=False),
        train=_SHORT,
    ),
    "float64": Config(
        model=AutoencoderConfig(encoder=[8]), train=TrainConfig(batch=16, epochs=2, precision="float64")
    ),
    "autorec": Config(
        model=AutoencoderConfig(encoder=[8], activation="sigmoid", output_activation=False),
        train=TrainConfig(optimizer="adam", lr=0.01, l2=1.0, batch=16, epochs=3),
    ),
    "pmf": Config(model=PmfConfig(rank=4, epochs=3)),
    "mf": Config(model=PmfConfig(rank=4, biases=True, epochs=3)),
    "svdpp": Config(model=SvdppConfig(rank=3, epochs=3)),
    "timesvdpp": Config(model=TimeSvdppConfig(rank=3, epochs=3, day_factors=[0.004, 0.01])),
    "rrn": Config(model=RrnConfig(rank=3, width=4, hidden=4, batch=16, epochs=2)),
    "surprise-svd": Config(model=SurpriseConfig(rank=3, epochs=3)),
    "surprise-svdpp": Config(model=SurpriseConfig(algorithm="svdpp", rank=3, epochs=3)),
    "cornac-mf": Config(model=CornacMFConfig(rank=3, epochs=3)),
    "lenskit-mf": Config(model=LenskitMFConfig(rank=3, epochs=3)),
    "myfm": Config(model=MyFMConfig(rank=3, iterations=8, burn_in=2, width=8)),
}

# Kinds that need a library of the extra `peers`.
PEERS = {"surprise": "surprise", "cornac-mf": "cornac", "lenskit-mf": "lenskit", "myfm": "myfm"}

USERS, ITEMS = 40, 12
KEEN, SILENT, LONELY = 0, 1, 11  # a user who rated all, one who rated nothing, an item that only KEEN rated


def _ratings() -> tuple[Ratings, Ratings]:
    """Training and held-out ratings, of biases and a taste, on a scale from 1 to 5 in halves."""
    rng = np.random.default_rng(0)
    taste = np.outer(rng.normal(0, 1, USERS), rng.normal(0, 1, ITEMS))
    full = 3 + rng.normal(0, 0.4, USERS)[:, None] + rng.normal(0, 0.5, ITEMS) + 0.4 * taste
    rated = rng.random((USERS, ITEMS)) < 0.6
    rated[:, LONELY] = False
    rated[KEEN], rated[SILENT] = True, False
    held_out = rated & (rng.random((USERS, ITEMS)) < 0.2)
    held_out[KEEN] = False
    days = rng.integers(60, size=(USERS, ITEMS)) + 30 * held_out

    def chosen(mask: NDArray[np.bool_]) -> Ratings:
        users, items = np.nonzero(mask)
        values = np.clip(np.round(2 * full[users, items]) / 2, 1, 5)
        return Ratings.from_arrays(
            users,
            items,
            values,
            times=1_000_000_000 + 86_400 * days[users, items],
            user_ids=Ids(f"user {n}" for n in range(USERS)),
            item_ids=Ids(f"item {n}" for n in range(ITEMS)),
            titles=[f"The Film ({1990 + n})" for n in range(ITEMS)],
        )

    return chosen(rated & ~held_out), chosen(held_out)


@pytest.fixture(scope="module", params=list(RECIPES.values()), ids=list(RECIPES))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model folder of each recipe."""
    out = tmp_path_factory.mktemp("contract") / "run"
    config: Config = request.param
    library = PEERS.get(config.model.kind)
    if library and find_spec(library) is None:
        pytest.skip(f'needs {library}, of the extra "peers"')
    fit(*_ratings(), config, out)
    return out


@pytest.fixture(scope="module")
def folder(run: Path) -> TrainedModel:
    """The same, loaded."""
    return TrainedModel.load(run)


@pytest.fixture(scope="module")
def recommender(folder: TrainedModel) -> Recommender:
    """The same, at work."""
    return Recommender(folder)


def _pairs() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All (user, item) pairs, in no order, some twice."""
    order = np.random.default_rng(1).integers(USERS * ITEMS, size=700)
    return order // ITEMS, order % ITEMS


def _histories(folder: TrainedModel) -> Ratings:
    assert folder.histories is not None
    return folder.histories


def _folds_in(folder: TrainedModel) -> bool:
    return folder.model.folds_in


# ---------------------------------------------------------------------- predictions


def test_pairs_and_the_whole_matrix_agree(folder: TrainedModel) -> None:
    users, items = _pairs()
    pairs = folder.model.predict(_histories(folder), users, items)
    matrix = folder.model.predict_all(_histories(folder), np.arange(USERS))
    assert matrix.shape == (USERS, ITEMS)
    np.testing.assert_allclose(matrix[users, items], pairs, atol=1e-5)
    assert np.isfinite(matrix).all()


def test_one_pair_alone_is_what_it_is_among_many(folder: TrainedModel) -> None:
    users, items = _pairs()
    many = folder.model.predict(_histories(folder), users, items)
    for place in (0, 123, 699):
        one = folder.model.predict(_histories(folder), users[place : place + 1], items[place : place + 1])
        np.testing.assert_allclose(one, many[place : place + 1], atol=1e-5)


def test_one_user_alone_is_as_among_many_in_any_order(folder: TrainedModel) -> None:
    order = np.random.default_rng(2).permutation(USERS)
    matrix = folder.model.predict_all(_histories(folder), np.arange(USERS))
    np.testing.assert_allclose(folder.model.predict_all(_histories(folder), order), matrix[order], atol=1e-5)
    for user in (KEEN, SILENT, 7):
        alone = folder.model.predict_all(_histories(folder), np.array([user]))
        np.testing.assert_allclose(alone[0], matrix[user], atol=1e-5)


def test_no_pair_and_no_user_give_nothing(folder: TrainedModel) -> None:
    none = np.empty(0, dtype=np.int64)
    assert folder.model.predict(_histories(folder), none, none).shape == (0,)
    assert folder.model.predict_all(_histories(folder), none).shape == (0, ITEMS)


def test_predicting_does_not_depend_on_where_in_the_histories_a_user_is(folder: TrainedModel) -> None:
    if not _folds_in(folder):
        pytest.skip("a model that doesn't fold in wants the training ratings themselves")
    histories = _histories(folder)
    backwards = Ratings.from_arrays(
        USERS - 1 - histories.users,
        histories.items.astype(np.int64),
        histories.values,
        user_ids=Ids(reversed(list(histories.user_ids))),
        item_ids=histories.item_ids,
    )
    there = folder.model.predict_all(histories, np.arange(USERS))
    here = folder.model.predict_all(backwards, np.arange(USERS))
    np.testing.assert_allclose(here[::-1], there, atol=1e-5)


def test_all_who_have_no_history_get_the_same(folder: TrainedModel) -> None:
    if not _folds_in(folder):
        pytest.skip("a model that doesn't fold in knows its users only")
    nothing = _histories(folder).select(np.zeros(len(_histories(folder)), dtype=bool))
    matrix = folder.model.predict_all(nothing, np.arange(USERS))
    silent = folder.model.predict_all(_histories(folder), np.array([SILENT]))
    np.testing.assert_allclose(matrix, np.broadcast_to(silent, matrix.shape), atol=1e-5)


def test_a_history_changes_the_predictions_unless_the_model_is_a_constant(folder: TrainedModel) -> None:
    matrix = folder.model.predict_all(_histories(folder), np.arange(USERS))
    constant = folder.config.model.kind == "mean"
    assert (np.ptp(matrix, axis=0).max() == 0) == constant


def test_without_a_time_predictions_are_those_of_the_latest_training_time(folder: TrainedModel) -> None:
    histories = _histories(folder)
    assert histories.times is not None
    users, items = _pairs()
    now = predict_pairs(folder.model, histories, users, items, np.full(len(users), histories.times.max()))
    np.testing.assert_allclose(now, folder.model.predict(histories, users, items), atol=1e-5)
    before = predict_pairs(folder.model, histories, users, items, np.full(len(users), histories.times.min()))
    assert (np.abs(before - now).max() > 1e-6) == isinstance(folder.model, InTime)


# ---------------------------------------------------------------------- saved and loaded


def test_a_reloaded_model_predicts_the_same_bits(run: Path, folder: TrainedModel) -> None:
    again = TrainedModel.load(run)
    expected = folder.model.predict(_histories(folder), *_pairs())
    np.testing.assert_array_equal(again.model.predict(_histories(again), *_pairs()), expected)


def test_weights_go_through_safetensors_into_a_fresh_model(run: Path, folder: TrainedModel) -> None:
    built, fresh = (build_model(folder.config, n_users=USERS, n_items=ITEMS).eval() for _ in range(2))
    built.load_state_dict(load((run / "model.safetensors").read_bytes()))
    state = {name: tensor.contiguous() for name, tensor in built.state_dict().items()}
    fresh.load_state_dict(load(save(state)))
    expected = folder.model.predict(_histories(folder), *_pairs())
    np.testing.assert_array_equal(fresh.predict(_histories(folder), *_pairs()), expected)


def test_training_again_gives_the_same_bits(run: Path, folder: TrainedModel, tmp_path: Path) -> None:
    fit(*_ratings(), folder.config, tmp_path / "again")
    again = load((tmp_path / "again" / "model.safetensors").read_bytes())
    for name, tensor in load((run / "model.safetensors").read_bytes()).items():
        np.testing.assert_array_equal(again[name].numpy(), tensor.numpy())


def test_a_flipped_byte_in_the_weights_is_noticed(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match="damaged"):
        TrainedModel.load(tmp_path / "run")


def test_a_folder_that_exists_is_not_overwritten(run: Path, folder: TrainedModel) -> None:
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(ModelError, match="exists already"):
        fit(*_ratings(), folder.config, run)
    assert (run / "model.safetensors").read_bytes() == before


def test_nothing_to_learn_from_is_refused(folder: TrainedModel, tmp_path: Path) -> None:
    train, _ = _ratings()
    with pytest.raises(DataError, match="not a single training rating"):
        fit(train.select(np.zeros(len(train), dtype=bool)), None, folder.config, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_training_does_without_validation_ratings(folder: TrainedModel, tmp_path: Path) -> None:
    train, _ = _ratings()
    fit(train, None, folder.config, tmp_path / "run")
    blind = TrainedModel.load(tmp_path / "run")
    assert np.isfinite(blind.model.predict(_histories(blind), *_pairs())).all()


# ---------------------------------------------------------------------- evaluated


def test_evaluation_pools_the_errors_of_the_predictions(folder: TrainedModel) -> None:
    _, test = _ratings()
    result = evaluate(folder.model, _histories(folder), test, scale=folder.scale, resamples=50)
    pairs = (test.users, test.items.astype(np.int64))
    predicted = predict_pairs(folder.model, _histories(folder), *pairs, test.times)
    assert result.ratings == len(test)
    assert result.rmse.value == pytest.approx(np.sqrt(np.mean((predicted - test.values) ** 2)), abs=1e-5)
    assert compare(result, result).rmse.p == 1


# ---------------------------------------------------------------------- recommended


def test_the_recommender_predicts_alike_in_all_its_shapes(recommender: Recommender) -> None:
    users, items = ["user 0", "user 7", "user 1"], ["item 3", "item 11", "item 0"]
    pairs = recommender.predict(users, items)
    matrix = recommender.predict(users)
    for row, (user, item) in enumerate(zip(users, items, strict=True)):
        one = recommender.predict(user, item)
        assert one == pytest.approx(pairs[row], abs=1e-5)
        assert recommender.predict(user, [item])[0] == pytest.approx(one, abs=1e-5)
        assert matrix[row, recommender.item_ids.position(item)] == pytest.approx(one, abs=1e-5)
        assert recommender.predict(user)[recommender.item_ids.position(item)] == pytest.approx(one, abs=1e-5)


def test_predictions_are_clipped_to_the_scale_unless_told_otherwise(recommender: Recommender) -> None:
    users = list(recommender.histories.user_ids)
    low, high = recommender.trained.scale
    free = recommender.predict(users, clip=False)
    np.testing.assert_allclose(recommender.predict(users), np.clip(free, low, high), atol=1e-5)
    matrix = recommender.trained.model.predict_all(recommender.histories, np.arange(USERS))
    np.testing.assert_allclose(free, matrix, atol=1e-5)


def test_ratings_by_hand_count_as_much_as_the_same_history(recommender: Recommender) -> None:
    _, items, values = recommender.histories.rows(np.array([7]))
    by_hand = {f"item {item}": float(value) for item, value in zip(items, values, strict=True)}
    if not _folds_in(recommender.trained):
        with pytest.raises(UnknownIdError, match=r"is item-based|has factors of its own"):
            recommender.predict(by_hand)
        return
    np.testing.assert_allclose(recommender.predict(by_hand), recommender.predict("user 7"), atol=1e-5)
    assert [line.item for line in recommender.recommend(by_hand)] == [
        line.item for line in recommender.recommend("user 7")
    ]


def test_a_list_has_what_there_is_of_unseen_items_sorted(recommender: Recommender) -> None:
    for user in ("user 7", "user 8"):
        position = recommender.histories.user_ids.position(user)
        assert position is not None
        _, seen, _ = recommender.histories.rows(np.array([position]))
        unseen = {f"item {n}" for n in range(ITEMS)} - {f"item {n}" for n in seen}
        everything = recommender.recommend(user, k=ITEMS)
        assert {line.item for line in everything} == unseen
        assert [line.item for line in recommender.recommend(user, k=3)] == [
            line.item for line in everything[:3]
        ]
        places = [recommender.item_ids.position(line.item) for line in everything]
        keys = [(-line.score, place) for line, place in zip(everything, places, strict=True)]
        assert keys == sorted(keys)  # ties by item order


def test_a_list_keeps_to_its_filters(recommender: Recommender) -> None:
    only = ["item 2", "item 5", "item 9"]
    lines = recommender.recommend("user 7", include_seen=True, only=only, exclude=["item 5"])
    assert {line.item for line in lines} == {"item 2", "item 9"}
    assert all(line.title == f"The Film ({1990 + int(line.item[5:])})" for line in lines)


def test_who_has_rated_everything_gets_an_empty_list(recommender: Recommender) -> None:
    assert recommender.recommend(f"user {KEEN}") == []
    assert len(recommender.recommend(f"user {KEEN}", k=99, include_seen=True)) == ITEMS


def test_who_has_rated_nothing_gets_a_list_all_the_same(recommender: Recommender) -> None:
    lines = recommender.recommend(f"user {SILENT}", k=ITEMS)
    assert len(lines) == ITEMS
    low, high = recommender.trained.scale
    assert all(low <= line.rating <= high for line in lines)


def test_an_item_that_one_person_rated_is_listed_with_its_support(recommender: Recommender) -> None:
    (line,) = recommender.recommend("user 7", only=[f"item {LONELY}"])
    assert line.support == 1
    assert line.rating == pytest.approx(recommender.predict("user 7", f"item {LONELY}"), abs=1e-5)


def test_similar_items_are_sorted_or_refused_by_name(recommender: Recommender) -> None:
    if recommender.trained.model.item_vectors() is None:
        with pytest.raises(ModelError, match="no vectors of its items"):
            recommender.similar_items("item 3")
        return
    lines = recommender.similar_items("item 3", k=5)
    assert len(lines) == 5
    assert "item 3" not in {line.item for line in lines}
    assert [line.score for line in lines] == sorted((line.score for line in lines), reverse=True)
    assert all(-1 - 1e-6 <= line.similarity <= 1 + 1e-6 for line in lines)


def test_an_explanation_adds_up_or_is_refused_by_name(recommender: Recommender) -> None:
    config = recommender.trained.config
    if (
        not isinstance(recommender.trained.model, Explaining)
        or config.network
        or config.model.kind != "ridge"
    ):
        beside = " that is blended with a network" if config.network else ""
        with pytest.raises(ModelError, match=f"of kind {config.model.kind}{beside} is no sum"):
            recommender.explain("user 7", "item 3")
        return
    for who in ("user 7", f"user {SILENT}", {"item 3": 4.0, "item 5": 1.0}, {}):
        explanation = recommender.explain(who, "item 9")
        rated = (
            who
            if isinstance(who, dict)
            else recommender.histories.rows(recommender.people.positions([who]))[1]
        )
        assert len(explanation.parts) == len(rated)
        together = explanation.level + sum(part.adds for part in explanation.parts)
        assert together == pytest.approx(recommender.predict(who, "item 9", clip=False), abs=1e-5)
        assert explanation.prediction == pytest.approx(together, abs=1e-9)


def test_intervals_hold_the_prediction_and_grow_with_coverage_or_are_refused_by_name(
    recommender: Recommender,
) -> None:
    users, items = ["user 7", "user 8", "user 0"], ["item 3", "item 9", "item 11"]
    if not isinstance(recommender.trained.model, Uncertain):
        with pytest.raises(ModelError, match="how sure"):
            recommender.intervals(users, items, 0.9)
        with pytest.raises(ModelError, match="how sure"):
            recommender.recommend("user 7", cautious=1.0)
        return
    predictions = recommender.predict(users, items, clip=False)
    narrow, wide = (recommender.intervals(users, items, coverage, clip=False) for coverage in (0.5, 0.9))
    assert (wide[0] < narrow[0]).all()
    assert (narrow[0] < narrow[1]).all()
    assert (narrow[1] < wide[1]).all()
    assert ((wide[0] < predictions) & (predictions < wide[1])).all()
    low, high = recommender.trained.scale
    clipped = recommender.intervals(users, items, 0.99)
    assert low <= clipped[0].min() <= clipped[1].max() <= high
    with pytest.raises(ConfigError, match="interval = 1"):
        recommender.intervals(users, items, 1.0)


def test_caution_keeps_to_what_is_sure(recommender: Recommender) -> None:
    if not isinstance(recommender.trained.model, Uncertain):
        pytest.skip("only models that know how sure they are can be cautious")
    bold, cautious = (recommender.recommend("user 7", k=ITEMS, cautious=much) for much in (0.0, 2.0))
    assert {line.item: line.rating for line in bold} == {line.item: line.rating for line in cautious}
    scores = {line.item: line.score for line in bold}
    assert all(line.score < scores[line.item] for line in cautious)
    with pytest.raises(ConfigError, match="cautious = -1"):
        recommender.recommend("user 7", cautious=-1.0)


def test_an_unknown_user_or_item_is_named_with_close_matches(recommender: Recommender) -> None:
    with pytest.raises(UnknownIdError, match=r"'usr 7'.*'user 7'"):
        recommender.predict("usr 7")
    with pytest.raises(UnknownIdError, match=r"'itm 3'.*item 3"):
        recommender.predict("user 7", "itm 3")
    with pytest.raises(UnknownIdError, match=r"'itm 3'"):
        recommender.recommend("user 7", exclude=["itm 3"])


def test_a_list_of_no_length_is_refused(recommender: Recommender) -> None:
    with pytest.raises(ConfigError, match="k = 0"):
        recommender.recommend("user 7", k=0)


def test_without_the_histories_the_model_serves_those_who_bring_theirs(
    run: Path, recommender: Recommender, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("history"))
    without = Recommender.load(tmp_path / "run")
    with pytest.raises(UnknownIdError, match="removed"):
        without.predict("user 7")
    if _folds_in(without.trained):
        by_hand = {"item 3": 4.0, "item 5": 1.0}
        np.testing.assert_array_equal(without.predict(by_hand), recommender.predict(by_hand))


def test_histories_may_come_from_anywhere(folder: TrainedModel) -> None:
    mapped = _histories(folder)
    copied = replace(
        mapped,
        indptr=np.array(mapped.indptr),
        items=np.array(mapped.items),
        values=np.array(mapped.values),
    )
    np.testing.assert_array_equal(
        folder.model.predict(copied, *_pairs()), folder.model.predict(mapped, *_pairs())
    )
