"""Going on with a training that was stopped."""

from pathlib import Path
from typing import Any

import numpy as np

from refeed.config import Config, config_from_toml
from refeed.errors import ConfigError
from refeed.files import write_text
from refeed.model_folder import STATE
from refeed.model_header import digest_settings
from refeed.models.ridge.auto import AUTO_SETTINGS
from refeed.ratings.store import Ratings

__all__ = ["can_resume", "check_finished", "is_finished", "resumed_config"]

_LENGTHS = {"epochs", "steps", "patience"}
_FREE = _LENGTHS | {"checkpoint_minutes", "keep_state"}

_Sections = dict[str, dict[str, Any]]


def can_resume(out: Path) -> bool:
    """Whether a training has begun in `out`; the folder is written atomically, with its settings in it."""
    return (out / "config.toml").is_file()


def is_finished(out: Path) -> bool:
    """Whether a training in `out` is over, its state removed."""
    return can_resume(out) and not (out / STATE).exists()


def resumed_config(out: Path, config: Config, train: Ratings) -> Config:
    """The settings to go on with; refuse other ratings or settings than the training in `out` began with.

    How long to train (`epochs`, `steps`, `patience`), how often to save and what to keep may change. What is
    "auto" stays what was resolved from the ratings.

    Raises:
        ConfigError: something else differs, or an earlier refeed began it, whose model had fewer settings.
    """
    before, after = _both(out, config)
    _check_same(out, before, after, train)
    going_on = Config.model_validate(after)
    path = out / "config.toml"
    if digest_settings(path.read_text(encoding="utf-8")) != digest_settings(going_on.to_toml()):
        raise ConfigError(
            f"the training in {out} was begun by an earlier refeed, whose model is not trained any more; "
            "go on with that version, or train again into another --out"
        )
    write_text(path, going_on.to_toml())
    return going_on


def check_finished(out: Path, config: Config, train: Ratings) -> None:
    """Refuse to go on with a training that is over, unless nothing is left to do.

    Raises:
        ConfigError: the settings, the length of the training or the ratings differ.
    """
    before, after = _both(out, config)
    _check_same(out, before, after, train)
    longer = [
        f"{section}.{key} = {table.get(key)!r} (it was {before[section].get(key)!r})"
        for section, table in after.items()
        for key in sorted(_LENGTHS & (table.keys() | before[section].keys()))
        if table.get(key) != before[section].get(key)
    ]
    if longer:
        raise ConfigError(
            f"{out} is finished, and its state is gone, so it can't go on with {'; '.join(longer)}: train "
            "anew with another --out (--set train.keep_state=true keeps the state of a finished training)"
        )


def _both(out: Path, config: Config) -> tuple[_Sections, _Sections]:
    """The settings of the training in `out`, and those to go on with, "auto" as it was resolved."""
    path = out / "config.toml"
    before = _sections(config_from_toml(path.read_text(encoding="utf-8"), where=str(path)))
    after = {
        section: {
            key: before.get(section, {}).get(key) if key in AUTO_SETTINGS and value == "auto" else value
            for key, value in table.items()
        }
        for section, table in _sections(config).items()
    }
    return before, after


def _check_same(out: Path, before: _Sections, after: _Sections, train: Ratings) -> None:
    other = [f"no section {section} (it had one)" for section in before.keys() - after.keys()]
    other += [f"a section {section} (it had none)" for section in after.keys() - before.keys()]
    other += [
        f"{section}.{key} = {after[section].get(key)!r} (it was {before[section].get(key)!r})"
        for section in before.keys() & after.keys()
        for key in before[section].keys() | after[section].keys()
        if key not in _FREE and before[section].get(key) != after[section].get(key)
    ]
    if other:
        raise ConfigError(f"{out} can't be resumed with other settings: {'; '.join(sorted(other))}")
    known = Ratings.load(out / "history")
    if not (
        known.user_ids == train.user_ids
        and known.item_ids == train.item_ids
        and all(
            np.array_equal(getattr(known, name), getattr(train, name))
            for name in ("indptr", "items", "values")
        )
    ):
        raise ConfigError(f"{out} can't be resumed with other ratings than those it was started with")


def _sections(config: Config) -> _Sections:
    return {section: table for section, table in config.model_dump().items() if table is not None}
