"""Ratings with the shape of Netflix, of any size, with a noise floor that is known (see `simulation`)."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64

from refeed.errors import DataError
from refeed.files import atomic_file, atomic_folder
from refeed.ratings.ids import Ids
from refeed.ratings.simulation import Chunk, Simulation
from refeed.ratings.simulation_files import first_user_id, write_netflix, write_parquet
from refeed.ratings.simulation_pairs import DAYS, FIRST_DAY
from refeed.ratings.store import Ratings

__all__ = ["ITEMS", "RATINGS", "USERS", "SimulationReport", "simulate", "simulate_ratings"]

USERS, ITEMS, RATINGS = 477_412, 17_768, 98_074_901
"""Netflix's, in the paper's "full" training window."""


@dataclass(frozen=True)
class PerEach:
    """How many ratings users gave, or items received."""

    mean: float
    median: float
    largest: int


@dataclass(frozen=True)
class SimulationReport:
    """What was simulated; `str` of it is the report that people read.

    Args:
        users: their number.
        items: their number.
        ratings: their number.
        seed: that gives them again.
        mean: of the ratings.
        deviation: of the ratings, their standard deviation.
        stars: the shares of one star to five.
        per_user: ratings per user.
        per_item: ratings per item.
        last_year: share of the ratings that fall into the last 365 days.
        noise_floor: the RMSE of the expected rating given everything but the noise; no method gets below it,
            but by luck.
    """

    users: int
    items: int
    ratings: int
    seed: int
    mean: float
    deviation: float
    stars: tuple[float, ...]
    per_user: PerEach
    per_item: PerEach
    last_year: float
    noise_floor: float

    def __str__(self) -> str:
        """The report, a line for each fact."""
        shares = ", ".join(f"{share:.1%}" for share in self.stars)
        return "\n".join(
            [
                f"ratings      {self.ratings:,} of {self.users:,} users and {self.items:,} items",
                f"mean         {self.mean:.3f}, deviation {self.deviation:.3f}; 1 to 5 stars: {shares}",
                f"per user     {_spread(self.per_user)}",
                f"per item     {_spread(self.per_item)}",
                f"last year    {self.last_year:.1%} of the ratings",
                f"noise floor  {self.noise_floor:.4f}: no method's RMSE gets below that, but by luck",
            ]
        )


def simulate(
    out: Path,
    *,
    users: int = USERS,
    items: int = ITEMS,
    ratings: int = RATINGS,
    format: Literal["parquet", "netflix"] = "parquet",  # noqa: A002 - the option's name
    seed: int = 0,
) -> SimulationReport:
    """Write simulated ratings, in memory that does not grow with their number.

    The report goes beside them as JSON: to `OUT.json`, or into Netflix's folder as `simulation.json`.

    Args:
        out: the Parquet file or the folder to write; written atomically.
        users: their number.
        items: their number.
        ratings: their number.
        format: "parquet": a table with the columns user, item, rating, timestamp; "netflix": a folder with
            training_set/mv_0000001.txt and so on, and movie_titles.txt.
        seed: of everything random; the same gives the same bytes.

    Raises:
        ConfigError: the numbers don't go together; a negative seed.
        DataError: `out` exists already.
    """
    if out.exists():
        raise DataError(f"{out} exists already; choose another path, or remove it first")
    simulation = Simulation(users, items, ratings, seed)
    tally = _Tally(simulation)
    if format == "netflix":
        with atomic_folder(out) as folder:
            write_netflix(tally.chunks(), folder, users=users, items=items, ratings=ratings)
            _write_report(tally.report(), folder / "simulation.json")
    else:
        write_parquet(tally.chunks(), out, users=users)
        with atomic_file(out.with_name(f"{out.name}.json")) as file:
            _write_report(tally.report(), file)
    return tally.report()


def simulate_ratings(users: int, items: int, ratings: int, seed: int) -> Ratings:
    """The same ratings, in memory; `source["noise_floor"]` is their noise floor.

    Raises:
        ConfigError: as `simulate`.
    """
    tally = _Tally(Simulation(users, items, ratings, seed))
    chunks = list(tally.chunks())
    first = first_user_id(users)
    report = tally.report()
    return Ratings(
        indptr=np.concatenate([[0], np.cumsum(tally.simulation.pairs.user_counts)]),
        items=np.concatenate([chunk.items for chunk in chunks]),
        values=np.concatenate([chunk.stars for chunk in chunks]).astype(np.float32),
        times=np.concatenate([chunk.days for chunk in chunks]).astype(np.int64) * 86_400 + FIRST_DAY * 86_400,
        user_ids=Ids(map(str, range(first, first + users))),
        item_ids=Ids(map(str, range(1, items + 1))),
        source={"sources": "simulated", "seed": seed, "noise_floor": report.noise_floor},
    )


class _Tally:
    """Counts what passes by."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._stars = np.zeros(6, dtype=np.int64)
        self._items = np.zeros(simulation.pairs.n_items, dtype=np.int64)
        self._last_year = 0
        self._variance = 0.0

    def chunks(self) -> Iterator[Chunk]:
        """The simulation's chunks, counted."""
        for chunk in self.simulation.chunks():
            self._stars += np.bincount(chunk.stars, minlength=6)
            self._items += np.bincount(chunk.items, minlength=len(self._items))
            self._last_year += int(np.count_nonzero(chunk.days >= DAYS - 365))
            self._variance += chunk.variance
            yield chunk

    def report(self) -> SimulationReport:
        """All that was counted; to be asked after the last chunk."""
        simulation = self.simulation
        total = simulation.pairs.n_ratings
        share, star = self._stars / total, np.arange(6)
        mean = float(share @ star)
        return SimulationReport(
            users=simulation.pairs.n_users,
            items=simulation.pairs.n_items,
            ratings=total,
            seed=simulation.pairs.seed,
            mean=mean,
            deviation=math.sqrt(float(share @ np.square(star - mean))),
            stars=tuple(share[1:].tolist()),
            per_user=_per_each(simulation.pairs.user_counts),
            per_item=_per_each(self._items),
            last_year=self._last_year / total,
            noise_floor=math.sqrt(self._variance / total),
        )


def _per_each(counts: Int64[np.ndarray, " each"]) -> PerEach:
    return PerEach(mean=float(counts.mean()), median=float(np.median(counts)), largest=int(counts.max()))


def _spread(counts: PerEach) -> str:
    return f"mean {counts.mean:,.1f}, median {counts.median:,.0f}, largest {counts.largest:,}"


def _write_report(report: SimulationReport, file: Path) -> None:
    file.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
