"""List baselines: against sums by hand, and against each other on taste that was planted."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from refeed.baselines import item_knn
from refeed.baselines.item_knn import ItemKNN
from refeed.baselines.list_peers import fit_bpr, fit_ials, fit_mult_vae, fit_rec_vae
from refeed.baselines.listing import Listing, score_blocks
from refeed.baselines.popular import Popular
from refeed.errors import ConfigError
from refeed.evaluation.ranking import evaluate_ranking
from refeed.evaluation.relevance import relevant_items
from refeed.ratings.ids import Ids
from refeed.ratings.split import Split, split_random
from refeed.ratings.store import Ratings


def ratings_of(pairs: np.ndarray) -> Ratings:
    u, i = np.nonzero(pairs)
    return Ratings.from_arrays(
        u,
        i,
        np.ones(len(u)),
        user_ids=Ids(f"u{n}" for n in range(pairs.shape[0])),
        item_ids=Ids(f"i{n}" for n in range(pairs.shape[1])),
    )


def two_tastes() -> Split:
    """Half of the people take things up from the first half of the items, half from the second."""
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 60)
    chance = np.where(group[:, None] == np.repeat([0, 1], 80), 0.2, 0.01)
    return split_random(ratings_of(rng.random((120, 160)) < chance), 0.2, valid=0.0)


def ndcg(model: Listing, split: Split) -> float:
    relevance = relevant_items(split.train, split.test)
    return evaluate_ranking(score_blocks(model, split.train), relevance, ks=(10,), resamples=1)[
        "ndcg@10"
    ].value


PAIRS = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]])


def test_everybody_gets_what_most_people_took_up() -> None:
    train = ratings_of(PAIRS)
    assert Popular.fit(train).scores(train, np.array([2, 0])).tolist() == [[3, 3, 2, 1]] * 2


@pytest.mark.parametrize("block", [1, 1 << 22])
def test_cosines_of_the_nearest_items_are_summed(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_knn, "_BLOCK", block)
    train = ratings_of(PAIRS)
    norms = np.linalg.norm(PAIRS, axis=0)
    cosines = PAIRS.T @ PAIRS / (norms[:, None] * norms)
    np.fill_diagonal(cosines, 0)
    everything = ItemKNN.fit(train, k=4).scores(train, np.arange(4))
    assert torch.allclose(everything, torch.from_numpy(PAIRS @ cosines).float())
    # With one neighbour each: items 0 and 2 are nearest to 1, and 1 to both; 3 to 0.
    nearest = np.where(cosines == cosines.max(axis=1, keepdims=True), cosines, 0)
    one = ItemKNN.fit(train, k=1).scores(train, np.arange(4))
    chosen = [int(np.argmax(row)) for row in nearest]
    expected = np.zeros((4, 4))
    for item, other in enumerate(chosen):
        expected[:, item] += PAIRS[:, other] * cosines[item, other]
    assert (one > 0).sum() <= (everything > 0).sum()
    assert torch.allclose(one, torch.from_numpy(expected).float())


def test_shrinking_takes_from_items_that_share_few_people() -> None:
    train = ratings_of(PAIRS)
    plain, shrunk = (ItemKNN.fit(train, shrink=shrink).scores(train, np.array([0])) for shrink in (0.0, 5.0))
    assert (shrunk[plain > 0] < plain[plain > 0]).all()


def test_bm25_is_that_of_its_formula() -> None:
    train = ratings_of(PAIRS)
    counts, lengths = PAIRS.sum(axis=0), PAIRS.sum(axis=1)
    saturation = 2.2 / (1 + 1.2 * (0.25 + 0.75 * counts / counts.mean()))
    weights = PAIRS * np.log(5 / (1 + lengths))[:, None] * saturation
    similarities = weights.T @ weights
    np.fill_diagonal(similarities, 0)
    scores = ItemKNN.fit(train, k=4, weighting="bm25").scores(train, np.arange(4))
    assert torch.allclose(scores, torch.from_numpy(PAIRS @ similarities).float(), rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"shrink": -1.0}])
def test_settings_of_item_knn_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="item-kNN wants"):
        ItemKNN.fit(ratings_of(PAIRS), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("weighting", ["cosine", "bm25"])
def test_item_knn_finds_planted_tastes(weighting: item_knn.Weighting) -> None:
    split = two_tastes()
    assert ndcg(ItemKNN.fit(split.train, weighting=weighting), split) > 1.3 * ndcg(
        Popular.fit(split.train), split
    )


@pytest.mark.parametrize(
    ("library", "fit"),
    [
        ("implicit", lambda train: fit_ials(train, factors=4, decay=1.0, weight=5.0)),
        ("implicit", lambda train: fit_bpr(train, factors=4)),
        ("cornac", lambda train: fit_mult_vae(train, epochs=40, batch=20)),
        ("cornac", lambda train: fit_rec_vae(train, epochs=5, batch=20)),
    ],
    ids=["ials", "bpr", "mult-vae", "rec-vae"],
)
@pytest.mark.filterwarnings("ignore")  # what other libraries warn of is their own affair
def test_peers_find_planted_tastes(library: str, fit: Callable[[Ratings], Listing]) -> None:
    pytest.importorskip(library, reason=f"needs {library}, of the extra peers")
    split = two_tastes()
    assert ndcg(fit(split.train), split) > 1.3 * ndcg(Popular.fit(split.train), split)
