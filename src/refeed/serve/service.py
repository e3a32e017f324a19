"""What all requests share: the models, the ratings, the queue; and from a request to a question."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from refeed.errors import DataError, UnknownIdError
from refeed.serve.batching import Batcher
from refeed.serve.bodies import Range, Recommend, Where
from refeed.serve.engine import Engine
from refeed.serve.item_facts import Condition, ItemFacts
from refeed.serve.lines import By, Line, Question
from refeed.serve.lineup import Lineup, Served
from refeed.serve.metrics import Metrics
from refeed.serve.settings import Settings
from refeed.serve.store import Forgotten, RatingsStore

__all__ = ["Filters", "Person", "Service", "Wish", "parsed_where"]

log = logging.getLogger("refeed.serve")

History = Mapping[str, float] | Sequence[str]


@dataclass(frozen=True)
class Filters:
    """What may be in a list, by names.

    Args:
        only: these items alone; None: all.
        exclude: not these.
        only_lists: the items of these lists alone; None: all.
        exclude_lists: not the items of these.
        where: conditions on attributes, all of which must hold.
    """

    only: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    only_lists: Sequence[str] | None = None
    exclude_lists: Sequence[str] = ()
    where: Mapping[str, Condition] | None = None

    @classmethod
    def of(cls, body: Recommend) -> "Filters":
        """Of a request."""
        return cls(body.only, body.exclude, body.only_lists, body.exclude_lists, conditions(body.where))

    @property
    def asks_the_store(self) -> bool:
        """Whether the database must be asked."""
        return bool(self.only_lists is not None or self.exclude_lists or self.where)


_NONE = Filters(exclude=[], exclude_lists=[])


def conditions(where: Where | None) -> Mapping[str, Condition] | None:
    """The conditions of a request; None: there are none."""
    return {
        name: value.model_dump(exclude_none=True) if isinstance(value, Range) else value
        for name, value in (where or {}).items()
    } or None


def parsed_where(text: str | None) -> Mapping[str, Condition] | None:
    """The conditions of a query: the JSON that the body of a request would have.

    Raises:
        DataError: it is none.
    """
    if text is None:
        return None
    try:
        return conditions(_WHERE.validate_json(text))
    except ValidationError as error:
        raise DataError(
            'where is not understood; give JSON such as {"genre": ["Drama", "War"], "year": {"min": 1990}}'
        ) from error


_WHERE: TypeAdapter[Where] = TypeAdapter(Where)


@dataclass(frozen=True)
class Wish:
    """What list is wanted: as of `Question`."""

    k: int = 10
    offset: int = 0
    by: By | None = None
    include_seen: bool = False
    liked: float | None = None
    reasons: int = 3


@dataclass(frozen=True)
class Person:
    """A person of the store, as the next request sees them.

    Args:
        history: their ratings, of the training and since.
        times: when they gave them, in Unix seconds; 0: unknown.
        hidden: what is not to be listed: dismissed, or shown of late.
    """

    history: Mapping[str, float]
    times: Mapping[str, int]
    hidden: frozenset[str] = field(default_factory=frozenset)


class Service:
    """A server's state; one for the process.

    Args:
        settings: what it was told.

    Raises:
        UserError: a model or the database can't be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.store = RatingsStore.open(settings.database)
        self.facts = ItemFacts(self.store)
        self.lineup = Lineup(
            settings.places, lambda: (self.store.forgotten(), self.store.digest), self.metrics.models
        )
        self.batcher = Batcher(self.metrics, bound=settings.limits.queue)

    def close(self) -> None:
        """Answer what waits, and close the database."""
        self.batcher.close()
        self.store.close()

    # ------------------------------------------------------------------ questions

    def rated(self, engine: Engine, given: History) -> tuple[dict[str, float], list[str]]:
        """A history as ratings, checked for its length.

        Raises:
            DataError: too long, or a list of items for a model of ratings.
        """
        if len(given) > self.settings.limits.history:
            raise DataError(
                f"a history of {len(given):,} ratings; at most {self.settings.limits.history:,} are taken"
            )
        if isinstance(given, Mapping):
            return dict(given), []
        low, high = engine.scale
        if engine.loaded.learned_from == "ratings" and given:
            raise DataError(
                "a list of items is the history of a model of interactions; this one learned from ratings of "
                f'{low:g} to {high:g}: give {{"ITEM": RATING}}'
            )
        return dict.fromkeys(given, 1.0), []

    def question(
        self,
        engine: Engine,
        given: History,
        wish: Wish,
        *,
        candidates: NDArray[np.bool_] | None = None,
        asked: Sequence[str] | None = None,
        times: Mapping[str, int] | None = None,
    ) -> tuple[Question, list[str]]:
        """A question about somebody, and the items in it that the model doesn't know."""
        history, _ = self.rated(engine, given)
        items, values, unknown = engine.history(history)
        when = None
        if times is not None and any(times.values()):
            missing = frozenset(unknown)
            when = np.array([times[name] for name in history if name not in missing], dtype=np.int64)
        positions = None
        if asked is not None:
            all_of_them = engine.catalogue.known_positions(asked)
            unknown += [name for name, at in zip(asked, all_of_them.tolist(), strict=True) if at < 0]
            positions = all_of_them[all_of_them >= 0]
        self.metrics.people(unknown=len(unknown), cold=not len(items))
        question = Question(
            items,
            values,
            k=min(wish.k, self.settings.limits.list_length) if asked is None else 0,
            offset=wish.offset,
            by=engine.check_by(wish.by),
            candidates=candidates,
            include_seen=wish.include_seen,
            asked=positions,
            liked=wish.liked,
            reasons=wish.reasons,
            times=when,
        )
        return question, list(dict.fromkeys(unknown))

    def candidates(
        self, engine: Engine, filters: Filters, hidden: Collection[str] = ()
    ) -> tuple[NDArray[np.bool_] | None, list[str]]:
        """What may be listed, and the names that the model doesn't know. Asks the database.

        Raises:
            UnknownIdError: there is no such list.
        """
        if filters == _NONE and not hidden:
            return None, []
        only = None if filters.only is None else set(filters.only)
        if filters.only_lists is not None:
            listed = self.facts.items_of(filters.only_lists)
            only = listed if only is None else only & listed
        excluded = [*filters.exclude, *hidden]
        if filters.exclude_lists:
            excluded += self.facts.items_of(filters.exclude_lists)
        named = [*(filters.only or ()), *filters.exclude]
        positions = engine.catalogue.known_positions(named)
        unknown = [name for name, at in zip(named, positions.tolist(), strict=True) if at < 0]
        mask = engine.mask(None if only is None else sorted(only), excluded)
        for name, condition in (filters.where or {}).items():
            fits = self._fitting(engine, name, condition)
            mask = fits if mask is None else mask & fits
        return mask, unknown

    def _fitting(self, engine: Engine, name: str, condition: Condition) -> NDArray[np.bool_]:
        """Of which items a condition holds, by the model's folder; what was put into the store goes first.

        Raises:
            DataError: neither knows such an attribute.
        """
        fits = engine.attributes.fit(name, condition)
        fitting, known = self.facts.fit(name, condition)
        if not known and name not in engine.attributes.names:
            raise DataError(
                f"nothing is known of {name[:100]!r} of any item; the model knows "
                f"{', '.join(map(repr, engine.attributes.names))}, and PUT /v1/items/ID/attributes adds more"
            )
        for names, value in ((known, False), (fitting, True)):
            positions = engine.loaded.items.ids.positions(names)
            fits[positions[positions >= 0]] = value
        return fits

    def check_length(self, wish: Wish) -> None:
        """Refuse a list that is longer than allowed.

        Raises:
            DataError: it is.
        """
        if wish.k > self.settings.limits.list_length:
            raise DataError(
                f"k = {wish.k}; a list has at most {self.settings.limits.list_length:,} items: "
                "ask for the next ones by offset"
            )

    async def lines(self, served: Served, question: Question) -> list[Line]:
        """The lines of one answer."""
        (answer,) = await self.batcher.ask(served.engine, [question])
        return answer.lines

    # ------------------------------------------------------------------ people

    def person(self, engine: Engine, user: str, shown_since: int | None = None) -> Person:
        """Somebody by id: what they rated in training and since, the latest of each item."""
        known = engine.trained_on(user)
        for item, (rating, at) in self.store.changes(user).items():
            if rating is None:
                known.pop(item, None)
            else:
                known[item] = (min(max(rating, engine.scale[0]), engine.scale[1]), at)
        history = {item: rating for item, (rating, _) in known.items()}
        times = {item: at for item, (_, at) in known.items()}
        hidden = self.store.dismissed(user)
        if shown_since is not None:
            hidden |= self.store.shown_since(user, shown_since)
        return Person(history, times, frozenset(hidden))

    def rate(self, engine: Engine, user: str, given: Mapping[str, float]) -> list[str]:
        """Take ratings by a person, by ids or titles; titles become ids.

        Returns:
            The items that the model doesn't know (taken all the same).

        Raises:
            DataError: a rating off the scale, or too many.
            StoreError: they could not be taken.
        """
        history, _ = self.rated(engine, given)
        low, high = engine.scale
        for name, rating in history.items():
            if not low <= rating <= high:
                raise DataError(
                    f"the rating {rating!r} of {name[:100]!r} is off the scale, {low:g} to {high:g}"
                )
        _, _, unknown = engine.history(history)
        self.store.rate(user, {self.item_id(engine, name): rating for name, rating in history.items()})
        return unknown

    def item_id(self, engine: Engine, name: str) -> str:
        """The raw id of an item given by id or title; the name itself, if the model doesn't know it."""
        position = int(engine.catalogue.known_positions([name])[0])
        return name if position < 0 else engine.loaded.items.ids[position]

    def position(self, engine: Engine, name: str) -> int:
        """The position of an item.

        Raises:
            UnknownIdError: the model doesn't know it.
        """
        position = int(engine.catalogue.known_positions([name])[0])
        if position < 0:
            raise UnknownIdError(f"no item is called {name[:100]!r}; find items by GET /v1/items?query=")
        return position

    def forget(self, user: str) -> tuple[Forgotten, int]:
        """Delete everything of a person: here, and in the training histories of the served models."""
        done = self.store.forget(user)
        histories = self.lineup.forget(user)
        log.info("a person was forgotten: %s", done)
        return done, histories
