"""refeed in a few lines: ratings from anywhere, a split, a model, in memory unless a folder is asked for."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from refeed.config import Config, load_recipe
from refeed.errors import ConfigError, DataError
from refeed.files import given_path
from refeed.inference.recommender import Recommender
from refeed.progress import Reporter, logged
from refeed.ratings.options import ReadOptions
from refeed.ratings.read import open_ratings
from refeed.ratings.split import Split, split_by_date, split_by_time, split_last, split_random
from refeed.ratings.split_users import split_users
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit as train_model

__all__ = ["fit", "load", "open", "read", "split"]

_Path = str | PathLike[str]


def read(
    *sources: _Path,
    columns: str | None = None,
    titles: _Path | None = None,
    encoding: Literal["utf-8", "latin-1", "cp1252", "auto"] = "utf-8",
    missing: Sequence[str | float] = (),
    wide: bool = False,
    kind: Literal["auto", "ratings", "interactions"] = "auto",
    skip_bad: bool = False,
    memory: str = "2GB",
) -> Ratings:
    """Read ratings or interactions from files, as `refeed prepare` does, without a folder.

    Args:
        sources: tables in whatever shape `prepare` reads (CSV, TSV, JSON, Parquet, packed or not), or a
            folder or archive of MovieLens or of the Netflix Prize.
        columns: which column is which, such as "user=userId,item=2,rating=stars,timestamp=ts".
        titles: a table of items and their titles, and perhaps of what else is known of them.
        encoding: of text.
        missing: ratings that mean "not rated", such as −1; they are left out and counted.
        wide: the tables have a row for each user and a column for each item.
        kind: what the tables hold; "auto": interactions where there is no rating, or all are equal.
        skip_bad: leave out rows that are no ratings; their number is in `source["bad"]`.
        memory: how much may be held while reading, such as "2GB".

    Raises:
        DataError: a source is missing, damaged, not recognised, or has bad rows.
    """
    if not sources:
        raise DataError("no file was given; give the path of a table, such as refeed.read('ratings.csv')")
    texts = (missing,) if isinstance(missing, str | int | float) else missing
    options = ReadOptions(columns, encoding, tuple(f"{code}" for code in texts), wide, kind)
    return open_ratings(
        [given_path(source) for source in sources],
        options,
        titles=None if titles is None else given_path(titles),
        skip_bad=skip_bad,
        memory=memory,
    )


def open(store: _Path) -> Ratings:  # noqa: A001 - refeed.open, as gzip.open
    """Open a store that `refeed prepare` or `Ratings.save` wrote; the arrays stay on disk.

    Args:
        store: the folder.

    Raises:
        StoreError: there is none, or it is damaged, incomplete or of another version.
    """
    return Ratings.load(given_path(store))


def split(
    ratings: Any,
    *,
    last: float | None = None,
    random: float | None = None,
    at: int | str | None = None,
    time: float | None = None,
    users: float | None = None,
    given: float | None = None,
    train_from: int | str | None = None,
    test_to: int | str | None = None,
    valid: float = 0.5,
    seed: int = 0,
) -> Split:
    """Split ratings into train, validation and test: `train, valid, test = refeed.split(ratings, last=0.2)`.

    One of `last`, `random`, `at`, `time` and `users` says what is held out; without any it is the last tenth
    by time.

    Args:
        ratings: to be split.
        last: this part of each user's ratings, the last ones.
        random: this part of all ratings, at random.
        at: what came from this day on: YYYY-MM-DD (UTC) or Unix seconds.
        time: the last part of all ratings by time.
        users: this part of the users, whole (strong generalisation): the model knows nothing of them, a part
            of each history is given to it then, and the rest is predicted.
        given: with `users`: that part of a history; None: 0.8.
        train_from: with `at`: the first day of the training.
        test_to: with `at`: the last day of the test.
        valid: part of the held-out ratings that goes to validation; the rest is the test.
        seed: of everything random.

    Raises:
        ConfigError: several ways at once, or values out of range.
        DataError: no times where they are needed, or nothing is left in train or test.
    """
    ratings = checked_ratings(ratings, "ratings")
    options = {"last": last, "random": random, "at": at, "time": time, "users": users}
    ways = [name for name, value in options.items() if value is not None]
    if len(ways) > 1:
        raise ConfigError(f"{' and '.join(ways)} exclude each other; give one of them")
    if given is not None and users is None:
        raise ConfigError("given goes with users, the part of the users to hold out whole; give it too")
    if at is None and not (train_from is None and test_to is None):
        raise ConfigError("train_from and test_to go with at, the first day of the test; give it too")
    if at is not None:
        return split_by_date(ratings, at, train_from=train_from, test_to=test_to, valid=valid, seed=seed)
    if last is not None:
        return split_last(ratings, last, valid=valid, seed=seed)
    if random is not None:
        return split_random(ratings, random, valid=valid, seed=seed)
    if users is not None:
        return split_users(ratings, users, given=0.8 if given is None else given, valid=valid, seed=seed)
    return split_by_time(ratings, 0.1 if time is None else time, valid=valid, seed=seed)


def fit(
    train: Any,
    valid: Any = None,
    *,
    recipe: str | PathLike[str] | Config = "default",
    out: _Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
    **settings: Any,
) -> Recommender:
    """Train a model, in memory; with `out`, its folder is written, too.

    The same recipe, settings and seed give the same bits, here and by `refeed train`.

    Args:
        train: the ratings to learn from: `Ratings`, or a table that `Ratings.from_frame` takes.
        valid: held-out ratings, which choose the best epoch and calibrate the intervals.
        recipe: the name of a recipe, a TOML file, or a `Config`.
        out: a model folder to write, with a checkpoint after every epoch.
        seed: over the recipe's train.seed.
        resume: go on with the training in `out`, if one has begun there.
        reporter: hears about the progress; None: it is logged under the name `refeed`.
        settings: over the recipe: `**{"train.steps": 100}`.

    Raises:
        ConfigError: a recipe or setting that makes no sense.
        DataError: no ratings, or no validation rating of a known user and item.
        ModelError: `out` exists already.
        TrainingDivergedError: the loss became NaN or infinite.
    """
    config = resolve_recipe(recipe, settings, seed)
    if resume and out is None:
        raise ConfigError("resume = True goes on with a training in a folder; give it as out")
    trained = train_model(
        checked_ratings(train, "train"),
        None if valid is None else checked_ratings(valid, "valid"),
        config,
        None if out is None else given_path(out),
        resume=resume,
        reporter=logged if reporter is None else reporter,
    )
    return Recommender(trained)


def load(run: _Path) -> Recommender:
    """Open a model folder that `fit`, `save` or `refeed train` wrote.

    Raises:
        ModelError: there is none, or it is damaged, incomplete or of another version.
    """
    return Recommender(TrainedModel.load(given_path(run)))


def resolve_recipe(
    recipe: str | PathLike[str] | Config, settings: Mapping[str, Any], seed: int | None
) -> Config:
    """A recipe with settings laid over it.

    Raises:
        ConfigError: no such recipe, or settings that make no sense.
    """
    values = dict(settings) | ({} if seed is None else {"train.seed": seed})
    if isinstance(recipe, Config):
        return recipe.laid_over(values)
    return load_recipe(str(recipe), values=values)


def checked_ratings(given: object, name: str) -> Ratings:
    """Ratings as they are, or read from a table in memory.

    Raises:
        DataError: a path was given, or no table.
    """
    if isinstance(given, Ratings):
        return given
    if isinstance(given, str | Path):
        raise DataError(
            f"{name} = {str(given)!r} is a path; read it first: refeed.read(…) for a table, "
            "refeed.open(…) for a store"
        )
    return Ratings.from_frame(given)
