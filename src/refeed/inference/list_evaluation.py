"""How good the lists of a trained model are, on held-out ratings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Int64
from torch import Tensor

from refeed.errors import DataError, ModelError
from refeed.evaluation.ranking import KS, RankingEvaluation, evaluate_ranking
from refeed.evaluation.relevance import Liked, in_items_of, relevant_items
from refeed.inference.listing import listing_of
from refeed.inference.making import users_at_once
from refeed.inference.people import People
from refeed.inference.ranking import SHRINK
from refeed.ratings.store import Ratings

__all__ = ["evaluate_lists"]


def evaluate_lists(
    people: People,
    test: Ratings,
    *,
    k: Sequence[int] = KS,
    liked: Liked = None,
    seen: Sequence[Ratings] = (),
    given: Ratings | None = None,
    by: str | None = None,
    beta: float | None = None,
    shrink: float = SHRINK,
    seed: int = 0,
    resamples: int = 1000,
) -> RankingEvaluation:
    """Rank all unseen items for every user with a relevant held-out item, as `score` ranks them.

    Args:
        people: whom the model knows.
        test: held-out ratings, with ids of their own.
        k: lengths of the lists.
        liked: the lowest rating that makes an item relevant; None: every held-out item is.
        seen: further ratings that the model has seen, such as validation's; their items are no candidates.
        given: ratings of people whom training has not seen; they are folded in, and `test` holds out others
            of theirs (strong generalisation, `split_users`). None: the users are those of the training
            ratings.
        by: what lists are ranked by: see `Recommender.recommend`.
        beta: likewise.
        shrink: likewise.
        seed: of the bootstrap.
        resamples: draws of the bootstrap.

    Raises:
        DataError: nothing held out is relevant; or nobody's given ratings are of the model's items.
        ConfigError: k, `resamples` or `shrink` make no sense.
        ModelError: a score is NaN; or people are given to a model that doesn't fold in.
        UnknownIdError: the histories of the training users have been removed, and none are given.
    """
    histories = people.known if given is None else _folded_in(people, given)
    relevance = relevant_items(
        histories, test, liked=liked, seen=seen, item_counts=people.trained.items.counts
    )
    wanted = None if people.trained.kind == "interactions" else liked
    listing = listing_of(people.trained, by=by, liked=wanted, beta=beta, shrink=shrink)

    def scores(users: Int64[np.ndarray, " users"]) -> Iterator[Float32[Tensor, "block items"]]:
        return listing.score_blocks(histories, users, users_at_once(histories.n_items))

    return evaluate_ranking(scores, relevance, ks=k, seed=seed, resamples=resamples)


def _folded_in(people: People, given: Ratings) -> Ratings:
    trained = people.trained
    if not trained.model.folds_in:
        raise ModelError(
            f"this {trained.config.model.kind} model knows the users of its training ratings only, so it "
            "can't fold in people given by their ratings; evaluate it on held-out ratings of its own users"
        )
    histories = replace(in_items_of(given, trained.items.ids), titles=trained.items.titles)
    if not len(histories):
        raise DataError(
            f"none of the {len(given):,} given ratings is of an item that the model knows; give ratings with "
            "ids written as in its training ratings"
        )
    return histories
