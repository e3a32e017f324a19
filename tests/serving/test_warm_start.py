"""A retraining goes on from what the old model has learned: rows by id, fewer updates, nobody who left."""

from pathlib import Path

import numpy as np
import pytest
import torch

from refeed import Ratings, Recommender, load_recipe
from refeed.config import Config
from refeed.evaluation.evaluate import evaluate
from refeed.models.ridge.auto import resolve_auto
from refeed.models.ridge.learner import RidgeLearner
from refeed.progress import silent
from refeed.ratings.ids import Ids
from refeed.serve.retrain import retrain
from refeed.serve.store import RatingsStore
from refeed.serve.warm import settings_of, warm_rows
from refeed.training.fit import fit


def resolved(train: Ratings, *settings: str) -> Config:
    config = load_recipe("default", ["model.width=8", *settings])

    def no_trial(_: Config, __: Ratings) -> None:
        raise AssertionError

    return resolve_auto(config, train, None, silent, no_trial)[0]  # type: ignore[arg-type]


def without_items(ratings: Ratings, gone: int) -> Ratings:
    """Without the first items; and their order is another one, so that positions tell nothing."""
    kept = ratings.select(ratings.items >= gone).compact()
    users = kept.users
    turned = np.arange(kept.n_items)[::-1]
    return Ratings.from_arrays(
        users,
        turned[kept.items],
        kept.values,
        user_ids=kept.user_ids,
        item_ids=list(kept.item_ids)[::-1],
    )


@pytest.mark.parametrize("apart", [True, False], ids=["resume.pt", "weights alone"])
def test_rows_are_carried_over_by_id_and_new_ones_are_at_their_start(run: Path, apart: bool) -> None:
    if not apart:
        (run / "resume.pt").unlink()
    old = Recommender.load(run).trained
    assert old.histories is not None
    (warm,) = warm_rows(run, old)
    assert (warm.users is not None) is apart
    fewer = without_items(old.histories, 7)
    added = [*fewer.item_ids, "a new film"]
    items = np.append(fewer.items, len(added) - 1)
    train = Ratings.from_arrays(
        np.append(fewer.users, 0),
        items,
        np.append(fewer.values, 4.0),
        user_ids=fewer.user_ids,
        item_ids=Ids(added),
    )
    config = resolved(train)
    fresh = RidgeLearner(config, train, torch.device("cpu"))
    learner = RidgeLearner(config, train, torch.device("cpu"))
    assert warm.start(learner) == train.n_items - 1 == old.histories.n_items - 7
    for item in (*list(train.item_ids)[:20], *list(train.item_ids)[-20:-1]):
        now, then = train.item_ids.position(item), old.histories.item_ids.position(item)
        assert torch.equal(learner.vectors[now], warm.vectors[then])
        assert torch.equal(learner.implicit[now], warm.implicit[then])
    assert torch.equal(learner.vectors[-1], fresh.vectors[-1])
    # Levels are solved anew, from the new ratings.
    assert torch.equal(learner.bias, fresh.bias)
    assert torch.equal(learner.user_bias, fresh.user_bias)
    assert float(learner.scale.detach()) == pytest.approx(warm.scale)
    assert float(learner.log_doubt.detach().exp()) == pytest.approx(warm.doubt, rel=1e-5)
    user = train.user_ids[11]
    row = learner.users[train.user_ids.position(user)]
    if warm.users is None:
        assert not bool(row.any())
    else:
        assert torch.equal(row, warm.users[old.histories.user_ids.position(user)])


def test_what_was_learned_is_the_model_that_it_starts_as(run: Path) -> None:
    old = Recommender.load(run).trained
    assert old.histories is not None
    (warm,) = warm_rows(run, old)
    learner = RidgeLearner(resolved(old.histories), old.histories, torch.device("cpu"))
    warm.start(learner)
    before, after = old.model, learner.finished()
    everybody = np.arange(old.histories.n_users)
    one, two = before.predict_all(old.histories, everybody), after.predict_all(old.histories, everybody)
    # The finished model is held to the biases and moved as a whole after its training; the rest is the same.
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.99


def test_fewer_updates_are_enough(trained: Path, tmp_path: Path) -> None:
    histories = Recommender.load(trained).histories
    order = np.random.default_rng(0).permutation(len(histories))
    held, late = np.zeros(len(histories), dtype=bool), np.zeros(len(histories), dtype=bool)
    held[order[: len(order) // 10]], late[order[: len(order) // 5]] = True, True
    early, train, test = (histories.select(mask) for mask in (~late, ~held, held))
    whole = resolved(early, "train.steps=90").model_copy(update={"interactions": None})
    old = fit(early, None, whole, tmp_path / "old")
    short = whole.model_copy(update={"train": whole.train.model_copy(update={"steps": 30, "warmup": 5})})
    warm = fit(train, None, short, warm=warm_rows(tmp_path / "old", old))
    cold = fit(train, None, short)
    long = fit(train, None, whole)

    def error(model: object) -> float:
        return evaluate(model.model, train, test, scale=histories.scale).rmse_clipped.value  # type: ignore[attr-defined]

    assert error(warm) < error(cold)
    assert error(warm) < error(long) + 0.003


def live_ratings(store: RatingsStore, histories: Ratings) -> None:
    generator = np.random.default_rng(0)
    for user in range(40):
        items = generator.choice(histories.n_items, 12, replace=False).tolist()
        values = np.clip(np.round(2 * histories.item_means[items]) / 2, 0.5, 5).tolist()
        store.rate(
            f"new-{user}",
            {histories.item_ids[item]: value for item, value in zip(items, values, strict=True)},
        )


def test_a_retraining_starts_warm_and_keeps_what_was_chosen(run: Path, tmp_path: Path) -> None:
    before = Recommender.load(run).trained
    assert before.lists is not None
    assert before.histories is not None
    live_ratings(RatingsStore.open(tmp_path / "r.sqlite"), before.histories)
    done = retrain(run, str(tmp_path / "r.sqlite"), hold_back=0.3, tolerance=10.0)
    assert (done.warm, done.swapped) == (True, True)
    after = Recommender.load(run).trained
    assert after.lists is not None
    assert (before.config.train.steps, after.config.train.steps) == (20, 6)
    assert settings_of(after).train.steps == 20  # the next one takes a third of the whole again
    assert after.lists.config == before.lists.config
    assert after.lists.weights == before.lists.weights
    assert after.items.attributes is not None
    assert set(after.items.attributes) == {"era", "year"}
    assert len((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) < len(
        (tmp_path / "run.previous/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    )


@pytest.mark.parametrize("how", ["asked", "forgotten", "forgotten while served"])
def test_a_retraining_starts_anew_where_it_must(run: Path, tmp_path: Path, how: str) -> None:
    from refeed.serve.lineup import Lineup, Place  # noqa: PLC0415

    histories = Recommender.load(run).histories
    store = RatingsStore.open(tmp_path / "r.sqlite")
    live_ratings(store, histories)
    if how != "asked":  # what was learned from them must not live on in the next model
        store.forget(histories.user_ids[3])
    if how == "forgotten while served":
        Lineup([Place("main", run, 1.0)], lambda: (store.forgotten(), store.digest), lambda _: None)
        assert histories.user_ids[3] not in Recommender.load(run).histories.user_ids
    done = retrain(run, str(tmp_path / "r.sqlite"), hold_back=0.3, tolerance=10.0, anew=how == "asked")
    assert not done.warm
    assert Recommender.load(run).trained.config.train.steps == 20


def test_other_kinds_have_no_rows_to_start_from(trained: Path, tmp_path: Path) -> None:
    histories = Recommender.load(trained).histories
    old = fit(histories, None, load_recipe("bias", []), tmp_path / "bias")
    assert warm_rows(tmp_path / "bias", old) == ()


def test_each_member_of_an_ensemble_starts_from_its_own(trained: Path, tmp_path: Path) -> None:
    histories = Recommender.load(trained).histories
    config = load_recipe("default", ["train.steps=3", "model.width=4", "train.ensemble=2"])
    old = fit(histories, None, config, tmp_path / "two")
    one, two = warm_rows(tmp_path / "two", old)
    assert not torch.equal(one.vectors, two.vectors)
    again = fit(histories, None, old.config, warm=(one, two))
    assert again.config.members == 2
