"""ONNX graphs of models with an interaction model: what lists are ranked by, as the recommender has it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refeed import Recommender, TrainedModel, load_recipe
from refeed.config import Config, LinearConfig, LocalConfig, MultinomialConfig, RidgeConfig, TrainConfig
from refeed.config.interactions import InteractionsConfig
from refeed.errors import ModelError
from refeed.export.check import Person, furthest, padded_inputs, session_of, tolerance
from refeed.export.whole import outputs_of
from refeed.export.write import export_onnx
from refeed.models.interactions.choose import fit_interactions
from refeed.models.liking import Liking
from refeed.models.list_part import ListPart
from refeed.models.list_score import ListWeights
from refeed.ratings.ids import Ids
from refeed.ratings.store import DataKind, Ratings
from refeed.training.fit import fit

FolderOf = Callable[[Config], Path]
People = Callable[[int], list[dict[str, float]]]

PARTS: dict[str, InteractionsConfig] = {
    "linear": LinearConfig(ridge=2.0, grade=0.5, recency=0.0),
    "linear, ungraded": LinearConfig(ridge=2.0, grade=0.0, recency=0.0),
    "local": LocalConfig(neighbours=4, ridge=2.0, grade=0.5, recency=0.0),
}


def ratings(kind: DataKind = "ratings") -> Ratings:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.35)
    values = rng.integers(1, 11, len(users)) / 2 if kind == "ratings" else rng.integers(1, 9, len(users))
    return Ratings.from_arrays(
        users,
        items,
        values,
        user_ids=Ids(f"u{n}" for n in range(30)),
        item_ids=Ids(f"i{n}" for n in range(20)),
        kind=kind,
    )


def trained(out: Path, part: InteractionsConfig, ensemble: int = 1) -> Path:
    config = Config(
        model=RidgeConfig(width=3, prior_users=20.0, prior_vectors=40.0),
        train=TrainConfig(optimizer="adam", lr=0.01, batch=16, steps=10, ensemble=ensemble),
        interactions=part,
    )
    fit(ratings(), None, config, out)
    return out


@pytest.mark.parametrize(("part", "ensemble"), [*((name, 1) for name in PARTS), ("linear", 2)])
def test_a_list_from_the_graph_is_the_recommenders(part: str, ensemble: int, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", PARTS[part], ensemble)
    said = export_onnx(TrainedModel.load(run), tmp_path / "out")
    assert "its ratings and scores are the model's" in said
    known = json.loads((tmp_path / "out/items.json").read_text(encoding="utf-8"))
    assert known["outputs"] == ["predicted", "scores"]
    session = session_of(tmp_path / "out/model.onnx")
    for rated in ({"i3": 5.0, "i7": 0.5, "i11": 4.0}, {}):
        person = (
            np.array([int(name[1:]) for name in rated], dtype=np.int64),
            np.array([*rated.values()], "f4"),
        )
        predicted, scores = session.run(["predicted", "scores"], padded_inputs([person]))
        lines = Recommender.load(run).recommend(rated, 8)
        order = [at for at in np.argsort(-scores[0], kind="stable").tolist() if f"i{at}" not in rated][:8]
        assert [known["items"][at] for at in order] == [line.item for line in lines]
        assert scores[0, order] == pytest.approx([line.score for line in lines], abs=1e-5)
        assert predicted[0, order] == pytest.approx([line.rating for line in lines], abs=1e-5)


@pytest.mark.parametrize("grade", [0.0, 0.7])
def test_a_model_of_clicks_has_scores_alone(grade: float, tmp_path: Path) -> None:
    part = LinearConfig(ridge=2.0, grade=grade, recency=0.0, values="count")
    config = load_recipe("default", []).model_copy(update={"interactions": part})
    fit(ratings("interactions"), None, config, tmp_path / "run")
    model = TrainedModel.load(tmp_path / "run")
    assert "its scores are the model's" in export_onnx(model, tmp_path / "out")
    assert outputs_of(model) == ["scores"]
    session = session_of(tmp_path / "out/model.onnx")
    (scores,) = session.run(["scores"], padded_inputs([(np.array([3, 7]), np.array([1.0, 6.0], "f4"))]))
    lines = Recommender(model).recommend({"i3": 1.0, "i7": 6.0}, 5)
    order = [at for at in np.argsort(-scores[0], kind="stable").tolist() if at not in (3, 7)][:5]
    assert [f"i{at}" for at in order] == [line.item for line in lines]
    assert scores[0, order] == pytest.approx([line.score for line in lines], abs=1e-5)


def drawn(run: Path, part: InteractionsConfig) -> TrainedModel:
    """A model of 6,000 items with an interaction model of the same ratings beside it."""
    model = TrainedModel.load(run)
    assert model.histories is not None
    config, interactions = fit_interactions(part, model.histories, None, lambda _: None, seed=0)
    values = np.arange(1, 11) / 2
    liking = Liking(4.0, 3.75, np.asarray(model.model.quantiles))  # type: ignore[attr-defined]
    return replace(model, lists=ListPart(config, interactions, liking, ListWeights(0.75, 0.01), values))


def test_a_thousand_histories_are_ranked_as_by_the_model(
    folder_of: FolderOf, people: People, tmp_path: Path
) -> None:
    run = folder_of(Config(model=RidgeConfig(width=6)))
    model = drawn(run, LocalConfig(neighbours=10, ridge=20.0, grade=0.4, recency=0.0))
    export_onnx(model, tmp_path / "out")
    apart = furthest(tmp_path / "out/model.onnx", model)
    assert apart <= tolerance(model, "scores") == pytest.approx(6e-5)  # 1e-5, and 5e-7 over the floor
    recommender, session = Recommender(model), session_of(tmp_path / "out/model.onnx")
    everybody = people(1000)
    assert {0, 1, 5000} <= {len(one) for one in everybody}
    for first in range(0, 1000, 50):
        some = everybody[first : first + 50]
        (scores,) = session.run(["scores"], padded_inputs([person(one) for one in some]))
        for row, one in enumerate(some[::10]):
            listed = recommender.recommend(one, 20)
            at = [int(line.item[1:]) for line in listed]
            assert scores[row * 10, at] == pytest.approx([line.score for line in listed], abs=apart + 1e-6)


def person(one: dict[str, float]) -> Person:
    return np.array([int(name[1:]) for name in one], dtype=np.int64), np.array(
        [*one.values()], dtype=np.float32
    )


def test_of_a_kind_that_is_not_exported_the_graph_has_the_ratings_alone(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", MultinomialConfig(encoder=[4], epochs=1))
    said = export_onnx(TrainedModel.load(run), tmp_path / "out")
    assert "its ratings are the model's" in said
    assert "an interaction model of kind multinomial, which can't be exported yet" in said


def test_clicks_by_such_a_kind_are_refused(tmp_path: Path) -> None:
    part = MultinomialConfig(encoder=[4], epochs=1, values="count")
    config = load_recipe("default", []).model_copy(update={"interactions": part})
    fit(ratings("interactions"), None, config, tmp_path / "run")
    with pytest.raises(ModelError, match="kind multinomial can't be exported from interactions"):
        export_onnx(TrainedModel.load(tmp_path / "run"), tmp_path / "out")


def test_clicks_without_an_interaction_model_are_refused(tmp_path: Path) -> None:
    config = load_recipe("mean", []).model_copy(update={"interactions": None})
    fit(ratings("interactions"), None, config, tmp_path / "run")
    with pytest.raises(
        ModelError, match="a model without an interaction model can't be exported from interactions"
    ):
        export_onnx(TrainedModel.load(tmp_path / "run"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
