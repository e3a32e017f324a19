"""refeed.lite with the second part of a model: who takes what up, and likes it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refeed import lite
from refeed.config import Config, LinearConfig, LocalConfig, MultinomialConfig, RidgeConfig, TrainConfig
from refeed.config.interactions import InteractionsConfig
from refeed.errors import ConfigError, ModelError
from refeed.inference.recommender import Recommender
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

PARTS: dict[str, InteractionsConfig] = {
    "linear": LinearConfig(ridge=2.0, grade=0.5, recency=1.5, recency_span=3.0),
    "local": LocalConfig(neighbours=4, ridge=2.0, grade=0.5, recency=1.5, recency_span=3.0),
}


def ratings(*, times: bool = True) -> Ratings:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.35)
    return Ratings.from_arrays(
        users,
        items,
        rng.integers(1, 11, len(users)) / 2,
        times=rng.permutation(len(users)) + 1_000_000_000 if times else None,
        user_ids=Ids(f"u{n}" for n in range(30)),
        item_ids=Ids(f"i{n}" for n in range(20)),
    )


def trained(out: Path, part: InteractionsConfig, *, times: bool = True) -> Path:
    config = Config(
        model=RidgeConfig(width=3, prior_users=20.0, prior_vectors=40.0),
        train=TrainConfig(optimizer="adam", lr=0.01, schedule="cosine", batch=16, steps=10),
        interactions=part,
    )
    fit(ratings(times=times), None, config, out)
    return out


@pytest.fixture(scope="module", params=list(PARTS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("lite") / "run", PARTS[request.param])


@pytest.fixture(scope="module")
def full(run: Path) -> Recommender:
    return Recommender.load(run)


@pytest.fixture(scope="module")
def small(run: Path) -> lite.Recommender:
    return lite.Recommender.load(run)


WAYS: list[dict[str, Any]] = [
    {},
    {"by": "both", "beta": 2.5},
    {"beta": 0},
    {"liked": 3.0},
    {"by": "interaction"},
    {"by": "rating"},
    {"cautious": 1.0},
    {"include_seen": True, "k": 20},
    {"only": ["i3", "i4", "i5"], "exclude": ["i4"]},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_lists_and_all_that_is_beside_their_items_are_those_of_the_full_model(
    way: dict[str, Any], small: lite.Recommender, full: Recommender
) -> None:
    for who in ["u3", "u11", {}, {"i1": 5.0, "i7": 0.5}]:
        ours, theirs = small.recommend(who, **way), full.recommend(who, **way)  # type: ignore[arg-type]
        assert [line.item for line in ours] == [line.item for line in theirs]
        for name in ("score", "rating", "p_liked", "low", "high", "support"):
            mine, other = ([getattr(line, name) for line in lines] for lines in (ours, theirs))
            assert mine == pytest.approx(other, abs=1e-4), name


def test_explanations_have_both_parts_and_each_adds_up(small: lite.Recommender, full: Recommender) -> None:
    for who in ("u3", {"i1": 5.0, "i7": 0.5}, {}):
        ours, theirs = small.explain(who, "i9"), full.explain(who, "i9")
        assert ours.taken is not None
        assert theirs.taken is not None
        assert ours.p_liked == pytest.approx(theirs.p_liked, abs=1e-5)
        assert ours.taken.score == pytest.approx(theirs.taken.score, abs=1e-5)
        assert ours.taken.everybody + sum(part.adds for part in ours.taken.parts) == pytest.approx(
            ours.taken.score, abs=1e-9
        )
        adds = {part.item: part.adds for part in theirs.taken.parts}
        assert {part.item: part.adds for part in ours.taken.parts} == pytest.approx(adds, abs=1e-5)


def test_histories_without_times_count_alike(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", PARTS["linear"], times=False)
    full, small = Recommender.load(run), lite.Recommender.load(run)
    assert [line.item for line in small.recommend("u5")] == [line.item for line in full.recommend("u5")]


@pytest.mark.parametrize(
    "mistake", [{"by": "both sides"}, {"beta": -1}, {"by": "both", "cautious": 1.0}, {"liked": 99}]
)
def test_a_mistake_in_the_way_to_rank_is_the_same_error(
    mistake: dict[str, Any], small: lite.Recommender, full: Recommender
) -> None:
    with pytest.raises(ConfigError) as theirs:
        full.recommend("u3", **mistake)
    with pytest.raises(ConfigError) as ours:
        small.recommend("u3", **mistake)
    assert str(ours.value) == str(theirs.value)


def test_a_kind_that_needs_pytorch_is_refused_for_lists_but_not_for_ratings(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", MultinomialConfig(encoder=[4], epochs=1, batch=8, popularity=0.1))
    small, full = lite.Recommender.load(run), Recommender.load(run)
    with pytest.raises(ModelError, match='by="rating"'):
        small.recommend("u3")
    assert small.recommend("u3", by="rating")[0].item == full.recommend("u3", by="rating")[0].item
    assert small.predict("u3", "i3") == pytest.approx(full.predict("u3", "i3"), abs=1e-6)


def test_a_second_part_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    other = trained(tmp_path / "other", PARTS["linear"], times=False)
    shutil.copytree(run, tmp_path / "mixed")
    content = bytearray((other / "interactions.safetensors").read_bytes())
    content[-3] ^= 1
    (tmp_path / "mixed/interactions.safetensors").write_bytes(bytes(content))
    with pytest.raises(ModelError, match="damaged"):
        lite.Recommender.load(tmp_path / "mixed")
