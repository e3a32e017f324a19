"""Predictions and lists for one person or many, from a trained model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.errors import ModelError
from refeed.evaluation.evaluate import Evaluation, evaluate
from refeed.evaluation.ranking import KS, RankingEvaluation
from refeed.inference.catalogue import Catalogue
from refeed.inference.explaining import explanation_of
from refeed.inference.explanation import Explanation
from refeed.inference.filters import candidates_of
from refeed.inference.given import paired
from refeed.inference.lines import Recommendation, SimilarItem
from refeed.inference.list_evaluation import evaluate_lists
from refeed.inference.listing import listing_of, uncertain_part
from refeed.inference.lists import RecommendationLists
from refeed.inference.making import Wish, list_of_each
from refeed.inference.pairs import check_rates, is_pairs, predict_pairs_table
from refeed.inference.people import People, User, is_id, listed_users
from refeed.inference.ranking import SHRINK, best, check_list, cosines, shrunk
from refeed.inference.variety import check_share
from refeed.models.intervals import interval
from refeed.ratings.frames import Pairs, read_pairs
from refeed.ratings.ids import Ids, id_text
from refeed.ratings.store import Ratings
from refeed.table import Table
from refeed.trained_model import TrainedModel

__all__ = ["Recommendation", "Recommender", "SimilarItem", "User"]


@dataclass(frozen=True, eq=False)
class Recommender:
    """A trained model at work. Nothing in it changes, so threads may share it.

    Wherever an item is asked for, its raw id will do or, failing that, its whole title in upper or lower
    case. Wherever a user is asked for, the raw id of a user of the training ratings will do, or the ratings
    of anyone as a mapping from items to numbers: one forward pass, nothing is trained. An empty mapping is
    somebody of whom nothing is known, and gets what the model has for everybody. A model that doesn't fold
    in (`Model.folds_in`: an item-based one, or one with factors of its users) knows the users of its training
    ratings only.

    Args:
        trained: the model with all that belongs to it.

    Raises (all methods):
        UnknownIdError: users or items that the model doesn't know, with close matches; a mapping for a
            model that doesn't fold in; a raw user id where the training histories have been removed.
        DataError: a rating in a mapping that is no finite number or is off the scale of the training ratings,
            or two ratings for the same item.
    """

    trained: TrainedModel

    @classmethod
    def load(cls, run: Path | str) -> "Recommender":
        """Open a model folder that `refeed train` wrote.

        Raises:
            ModelError: there is none, or it is damaged, incomplete or of another version.
        """
        return cls(TrainedModel.load(Path(run)))

    def __repr__(self) -> str:
        return f"Recommender of {self.trained!r}"

    @property
    def item_ids(self) -> Ids:
        """Raw ids of all items, in the order of `predict(user)`."""
        return self.trained.items.ids

    @property
    def histories(self) -> Ratings:
        """The training ratings, by which known users are known."""
        return self.people.known

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items, found by id or title."""
        return Catalogue(self.trained.items.ids, self.trained.items.titles)

    @cached_property
    def people(self) -> People:
        """Whom the model knows, and how others bring their ratings."""
        return People(self.trained, self.catalogue)

    def predict(
        self,
        who: Any,
        items: Any = None,
        *,
        cold: str = "error",
        clip: bool = True,
        interval: float | None = None,
    ) -> Any:
        """Predicted ratings.

        | who | items | result |
        |---|---|---|
        | a table of pairs | | a `Table`: user, item, prediction, in the same order |
        | a user | an item | one number |
        | a user | a sequence | `[items]`: the user's rating of each |
        | a user | None | `[all items]`, in the order of `item_ids` |
        | a sequence | a sequence as long | `[pairs]`: the first user's rating of the first item, and so on |
        | a sequence | None | `[users, all items]` |

        A table of pairs is a frame with the columns user and item (pandas, polars, Arrow, DuckDB, anything
        that `Ratings.from_frame` takes), or a list of (user, item) tuples.

        Args:
            who: a table of pairs, a user (raw id, or a history), or a sequence of them.
            items: an item (raw id or title), a sequence of them, or None for all.
            cold: of a table: what to do with a pair whose user or item is unknown: "error" refuses it,
                "empty" leaves its prediction empty, "fallback" predicts it by what is known
                (`models/cold.py`).
            clip: keep within the scale of the training ratings.
            interval: of a table: the share of such ratings that is to lie between two more columns, low and
                high; from 0.01 to 0.99.

        Raises:
            DataError: sequences of different lengths, or one item for a sequence of users.
            ModelError: the model was trained on interactions without ratings.
        """
        check_rates(self.trained)
        if items is None and is_pairs(who):
            return self._predict_table(read_pairs(who), cold, clip=clip, coverage=interval)
        users = listed_users(who)
        histories, rows = self.people.histories([who] if users is None else users)
        if items is None:
            matrix = self.trained.model.predict_all(histories, rows).astype(np.float64)
            return self.clipped(matrix[0] if users is None else matrix, clip=clip)
        positions = self.catalogue.positions([items] if is_id(items) else items)
        rows = paired(rows, positions, one=users is None, single=is_id(items))
        ratings = self.clipped(self.trained.model.predict(histories, rows, positions), clip=clip)
        return float(ratings[0]) if is_id(items) else ratings

    def _predict_table(self, pairs: Pairs, cold: str, *, clip: bool, coverage: float | None) -> Table:
        made = predict_pairs_table(
            self.people, pairs.users.tolist(), pairs.items.tolist(), cold=cold, clip=clip, coverage=coverage
        )
        return made.table

    def recommend(
        self,
        who: Any,
        k: Any = 10,
        *,
        by: Any = None,
        liked: Any = None,
        beta: Any = None,
        offset: Any = 0,
        include_seen: bool = False,
        only: Any = None,
        exclude: Any = None,
        where: str | None = None,
        novelty: Any = 0.0,
        diversity: Any = 0.0,
        explore: Any = 0.0,
        seed: int = 0,
        shrink: Any = SHRINK,
        cautious: Any = 0.0,
    ) -> Any:
        """The k best items for a user that they have not rated, best first; fewer if there are no more.

        A list needs two answers: will this person take the item up, and how much will they like it then. With
        both parts of a model the list is ranked by

            score = log max(s, floor) + β log P(liked)

        with the interaction model's score s and P(liked) from the rating model's predictive distribution. By
        rating alone (`by="rating"`, or a model without the other part), an item that three people rated can't
        top the list on their word: what a prediction promises beyond the person's level counts by the item's
        support (`inference/ranking.py`). Equal scores keep the order of `item_ids`.

        Args:
            who: a user: a raw id, or a history; or a sequence of these, each of whom gets a list.
            k: the most items to return.
            by: "both", "rating" or "interaction"; None: both where the model has both.
            liked: the lowest rating that counts as liked; None: what the model was trained with.
            beta: β, 0 or more; None: what validation chose.
            offset: items to pass over at the head of the list.
            include_seen: also items that the user has rated.
            only: choose among these items alone (ids or titles).
            exclude: leave these out (ids or titles).
            where: a condition on what is known of the items, such as "genre = 'Drama' and year >= 1990":
                item, title, ratings (how many in training), and the further columns of the titles table.
            novelty: pass over the most popular items: those with this share of all ratings, 0 to below 1.
            diversity: from 0 to 1: choose items unlike each other (maximal marginal relevance on the items'
                vectors) among the best 5 k; it costs accuracy.
            explore: from 0 to 1: the chance of each place to have a cold item (fewer than 5 ratings) instead.
            seed: of the draws of `explore`.
            shrink: by rating: ratings at which half of an item's advantage counts.
            cautious: by rating: deviations of the prediction itself to take off before ranking, at least 0.

        Returns:
            A `RecommendationList`; for a sequence of users `RecommendationLists`, one each.

        Raises:
            ConfigError: a value out of range.
            DataError: a condition that can't be evaluated.
            ModelError: something that this kind of model can't do.
        """
        check_list(k, shrink)
        listing = listing_of(self.trained, by=by, liked=liked, beta=beta, shrink=shrink, cautious=cautious)
        candidates = candidates_of(
            self.trained, self.catalogue, only=only, exclude=exclude, where=where, novelty=novelty
        )
        wish = Wish(
            k,
            offset,
            include_seen,
            check_share("diversity", diversity),
            check_share("explore", explore),
            seed,
        )
        users = listed_users(who)
        histories, rows = self.people.histories([who] if users is None else users)
        lists = list_of_each(listing, self.catalogue, histories, rows, candidates, wish)
        if users is None:
            return lists[0]
        names = [id_text(user) if is_id(user) else str(place) for place, user in enumerate(users)]
        return RecommendationLists(names, lists)

    def evaluate(self, test: object, *, cold: str = "empty", seed: int = 0) -> Evaluation:
        """Measure the errors on held-out ratings, as `refeed evaluate` does.

        Args:
            test: `Ratings`, or a table of them.
            cold: what to do with ratings whose user or item is unknown: "empty" leaves them out and counts
                them, "fallback" predicts them by what is known, as published protocols do, "error" refuses.
            seed: of the bootstrap.

        Raises:
            DataError: there is nothing to evaluate on.
            ModelError: the model was trained on interactions without ratings.
        """
        check_rates(self.trained)
        ratings = test if isinstance(test, Ratings) else Ratings.from_frame(test)
        return evaluate(
            self.trained.model, self.histories, ratings, scale=self.trained.scale, cold=cold, seed=seed
        )

    def evaluate_lists(
        self,
        test: object,
        *,
        k: Sequence[int] = KS,
        liked: float | None = None,
        seen: Sequence[Ratings] = (),
        given: Ratings | None = None,
        by: str | None = None,
        beta: float | None = None,
        shrink: float = SHRINK,
        seed: int = 0,
    ) -> RankingEvaluation:
        """Measure lists on held-out items by a full ranking, as `refeed evaluate --ranking` does.

        Args:
            test: `Ratings`, or a table of them.
            k: lengths of the lists.
            liked: the lowest rating that makes an item relevant; None: every held-out item is.
            seen: further ratings that the model has seen, such as validation's: their items are no
                candidates.
            given: what is known of people whom training has not seen; they are folded in.
            by: what lists are ranked by (see `recommend`).
            beta: likewise.
            shrink: likewise.
            seed: of the bootstrap.

        Raises:
            DataError: nothing held out is relevant.
        """
        ratings = test if isinstance(test, Ratings) else Ratings.from_frame(test)
        return evaluate_lists(
            self.people,
            ratings,
            k=k,
            liked=liked,
            seen=seen,
            given=given,
            by=by,
            beta=beta,
            shrink=shrink,
            seed=seed,
        )

    def save(self, path: Path | str) -> None:
        """Write a model folder, atomically; `load` reads it back.

        Raises:
            ModelError: it exists already.
        """
        self.trained.save(path)

    def explain(self, who: Any, item: Any) -> Explanation:
        """Why a prediction is what it is, and why an item is in a list: sums of parts, exactly.

        The predicted rating is the item's level and what each of the user's ratings adds; the interaction
        score is what everybody gets and what each of the user's items adds.

        Args:
            who: raw id of a user, or a history.
            item: raw id or title.

        Raises:
            ModelError: neither of the model's predictions is a sum.
        """
        histories, users = self.people.histories([who])
        (position,) = self.catalogue.positions([item])
        return explanation_of(self.trained, self.catalogue, histories, int(users[0]), int(position))

    def intervals(
        self, who: User | Sequence[User], items: Any, coverage: float, *, clip: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where a share of such ratings lies: the lower and the upper ends, `[pairs]` each.

        They are calibrated on the validation ratings of the training (without these, on its leave-one-out
        errors); where future ratings are like these, `coverage` of them lie within.

        Args:
            who: a user and their items, or a sequence of users as long as the items, read as pairs.
            items: raw ids or titles; one, or a sequence.
            coverage: the share, from 0.01 to 0.99.
            clip: keep within the scale of the training ratings.

        Raises:
            ConfigError: another coverage.
            DataError: sequences of different lengths.
            ModelError: this kind of model does not know how sure it is.
        """
        model = uncertain_part(self.trained)
        several = listed_users(who)
        histories, users = self.people.histories([who] if several is None else several)
        positions = self.catalogue.positions([items] if is_id(items) else items)
        users = paired(users, positions, one=several is None)
        predictions = model.predict(histories, users, positions)
        low, high = interval(model, predictions, model.predictive_std(histories, users, positions), coverage)
        return self.clipped(low, clip=clip), self.clipped(high, clip=clip)

    def similar_items(self, item: str, k: int = 10, *, shrink: float = SHRINK) -> list[SimilarItem]:
        """The k items most like one, best first; the item itself is left out.

        Ranked by cosine · n / (n + shrink), where the cosine is that of the items' vectors in the model (the
        rows of the last decoder layer) and n counts the training ratings of the other item. Equal scores keep
        the order of `item_ids`.

        Args:
            item: raw id or title.
            k: the most items to return.
            shrink: ratings at which half of the similarity counts; 0 ranks by the plain cosine.

        Raises:
            ModelError: the model has no vectors of items.
            ConfigError: k below 1 or a negative shrink.
        """
        check_list(k, shrink)
        vectors = self.trained.model.item_vectors()
        if vectors is None:
            raise ModelError(
                f"this {self.trained.config.model.kind} model (axis {self.trained.model.axis!r}) has no "
                "vectors of its items, so it can't say which are similar; train a user-based autoencoder"
            )
        position = int(self.catalogue.positions([item])[0])
        similarities = cosines(vectors, position)
        scores = shrunk(similarities, self.trained.items.counts, shrink)
        return [
            SimilarItem(
                item=self.item_ids[at],
                title=self.catalogue.title(at),
                similarity=float(similarities[at]),
                score=float(scores[at]),
                support=int(self.trained.items.counts[at]),
            )
            for at in best(scores, np.arange(len(scores)) != position, k).tolist()
        ]

    def clipped(self, ratings: NDArray[np.float64], *, clip: bool) -> NDArray[np.float64]:
        """Ratings within the scale of the training ratings, if `clip`."""
        return np.clip(ratings, *self.trained.scale) if clip else ratings
