"""The models that are served: who gets which, and how one takes another's place."""

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from refeed.errors import ConfigError, ModelError, UnknownIdError
from refeed.ratings.ids import Ids
from refeed.serve.engine import Engine
from refeed.serve.histories import forget_in_folder
from refeed.serve.search import Titles

__all__ = ["Lineup", "Place", "Served", "parse_models"]


@dataclass(frozen=True)
class Place:
    """A model to serve.

    Args:
        name: what answers call it.
        run: its folder.
        share: of the people who get it.
    """

    name: str
    run: Path
    share: float


@dataclass(frozen=True, eq=False)
class Served:
    """A model, ready, and its items' titles to search in.

    Args:
        engine: answers.
        titles: finds items.
    """

    engine: Engine
    titles: Titles

    @cached_property
    def years(self) -> Int64[np.ndarray, " items"]:
        """The year at the end of each item's title; 0 where there is none."""
        found = (re.search(r"\((\d{4})\)\s*$", title) for title in self.engine.loaded.items.titles or ())
        years = [int(one[1]) if one else 0 for one in found]
        return np.array(years or [0] * len(self.engine.loaded.items.ids), dtype=np.int64)


def parse_models(run: Path | None, models: Sequence[str]) -> list[Place]:
    """The models of the command line: RUN, or `NAME=RUN[:SHARE]` each.

    Shares that are not given divide what the others leave.

    Raises:
        ConfigError: none, or a name twice, or shares that do not add up to 1.
    """
    if run is not None and models:
        raise ConfigError("RUN and --model exclude each other; give one of them")
    if run is not None:
        return [Place("main", run, 1.0)]
    parsed = [_parse(text) for text in models]
    names = [name for name, _, _ in parsed]
    if not parsed or len(set(names)) < len(names):
        raise ConfigError("give a model folder, or --model NAME=RUN[:SHARE] for each, every name once")
    given = sum(share for _, _, share in parsed if share is not None)
    open_ones = [name for name, _, share in parsed if share is None]
    left = (1 - given) / len(open_ones) if open_ones else 0.0
    if (not open_ones and abs(given - 1) > 1e-6) or (open_ones and left <= 0):
        raise ConfigError(
            f"the shares of the models add up to {given:g}; expected 1 in all, or leave one of them out"
        )
    return [Place(name, path, left if share is None else share) for name, path, share in parsed]


def _parse(text: str) -> tuple[str, Path, float | None]:
    found = re.fullmatch(r"([A-Za-z0-9_-]{1,40})=(.+?)(?::([01]|0?\.\d+|1\.0*))?", text)
    if not found:
        raise ConfigError(f"--model {text!r} is not of the form NAME=RUN[:SHARE], such as b=run-new:0.1")
    name, path, share = found.groups()
    return name, Path(path), None if share is None else float(share)


class Lineup:
    """The models that are served at the moment.

    A request takes its model once, by `pick`, and keeps it to its end; a swap changes what later ones take.

    Args:
        places: names, folders and shares.
        forgotten: digests of who asked to be forgotten, and how to digest an id.
        changed: called with the models after each change.
    """

    def __init__(
        self,
        places: Sequence[Place],
        forgotten: Callable[[], tuple[frozenset[str], Callable[[str], str]]],
        changed: Callable[[dict[str, str]], None],
    ) -> None:
        self._places = {place.name: place for place in places}
        self._forgotten, self._changed = forgotten, changed
        self._swapping = threading.Lock()
        self._served = {place.name: self._load(place) for place in places}
        self._report()

    # ------------------------------------------------------------------ who gets what

    def pick(self, user: str | None = None, name: str | None = None) -> Served:
        """The model of a person: always the same, by a hash of their id; without an id the largest share's.

        Raises:
            UnknownIdError: there is no model of that name.
        """
        if name is not None:
            if name not in self._served:
                raise UnknownIdError(
                    f"no model is called {name!r}; there are {', '.join(map(repr, self._served))}"
                )
            return self._served[name]
        if user is None or len(self._places) == 1:
            return self._served[max(self._places.values(), key=lambda place: place.share).name]
        at = int.from_bytes(hashlib.sha256(user.encode(errors="surrogatepass")).digest()[:8]) / 2**64
        for place in self._places.values():
            at -= place.share
            if at < 0:
                return self._served[place.name]
        return self._served[list(self._places)[-1]]

    def served(self) -> dict[str, tuple[Served, float]]:
        """All models, and their shares."""
        return {name: (self._served[name], place.share) for name, place in self._places.items()}

    # ------------------------------------------------------------------ swapping

    def swap(self, name: str, run: str | None = None) -> Served:
        """Load a model's folder again, or the one called `run` beside it, and serve it from then on.

        Raises:
            UnknownIdError: there is no model of that name.
            ModelError: the folder can't be used; the old model goes on.
        """
        with self._swapping:
            self.pick(name=name)
            place = self._places[name]
            if run is not None:
                if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}", run):
                    raise ModelError(
                        f"{run!r} is no name of a folder; give that of a model folder beside the one served"
                    )
                place = Place(name, place.run.parent / run, place.share)
            fresh = self._load(place)
            self._places[name] = place
            self._served = {**self._served, name: fresh}
            self._report()
            return fresh

    def swap_all(self) -> None:
        """Load every folder again."""
        for name in list(self._places):
            self.swap(name)

    def forget(self, user: str) -> int:
        """Take a person out of the training histories of all models, and out of their folders.

        Returns:
            How many models had them.
        """
        with self._swapping:
            found = 0
            for name, served in list(self._served.items()):
                histories = served.engine.loaded.histories
                if histories is not None and user in histories.user_ids:
                    found += 1
                    self._served = {**self._served, name: _without(served, self._gone)}
            return found

    def _gone(self, users: Ids) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        digests, digest = self._forgotten()
        if not digests:
            return np.zeros(len(users), dtype=np.bool_)
        return np.fromiter((digest(user) in digests for user in users), dtype=np.bool_, count=len(users))

    def _load(self, place: Place) -> Served:
        try:
            engine = Engine.load(place.name, place.run)
        except OSError as error:
            raise ModelError(f"the model {place.name!r} can't be read: {error.strerror}") from error
        served = Served(
            engine, Titles(engine.loaded.items.ids, engine.loaded.items.titles, engine.loaded.items.counts)
        )
        histories = engine.loaded.histories
        # Who was forgotten while this folder was not served, or by a server that was killed half-way.
        if histories is not None and self._gone(histories.user_ids).any():
            return _without(served, self._gone)
        return served

    def _report(self) -> None:
        self._changed({name: served.engine.digest for name, served in self._served.items()})


def _without(served: Served, gone: Callable[[Ids], np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> Served:
    engine = served.engine
    assert engine.loaded.histories is not None  # noqa: S101 - whoever calls has looked
    kept = forget_in_folder(engine.run, engine.loaded.histories, gone(engine.loaded.histories.user_ids))
    return Served(engine.without(kept), served.titles)
