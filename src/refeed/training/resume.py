"""Going on with a training that was stopped."""

from pathlib import Path
from typing import Any

import numpy as np

from refeed.config import Config, config_from_toml
from refeed.errors import ConfigError
from refeed.model_folder import write_text
from refeed.models.ridge.auto import AUTO_SETTINGS
from refeed.ratings.store import Ratings

__all__ = ["can_resume", "resumed_config"]


def can_resume(out: Path) -> bool:
    """Whether a training has begun in `out`; the folder is written atomically, with its settings in it."""
    return (out / "config.toml").is_file()


def resumed_config(out: Path, config: Config, train: Ratings) -> Config:
    """The settings to go on with; refuse other ratings or settings than the training in `out` began with.

    How long to train (`epochs`, `steps`, `patience`) and how often to save may change. What is "auto" stays
    what was resolved from the ratings.

    Raises:
        ConfigError: something else differs.
    """
    path = out / "config.toml"
    free = {"epochs", "steps", "patience", "checkpoint_minutes"}
    before = _sections(config_from_toml(path.read_text(encoding="utf-8"), where=str(path)))
    after = {
        section: {
            key: before.get(section, {}).get(key) if key in AUTO_SETTINGS and value == "auto" else value
            for key, value in table.items()
        }
        for section, table in _sections(config).items()
    }
    other = [f"no section {section} (it had one)" for section in before.keys() - after.keys()]
    other += [f"a section {section} (it had none)" for section in after.keys() - before.keys()]
    other += [
        f"{section}.{key} = {after[section].get(key)!r} (it was {before[section].get(key)!r})"
        for section in before.keys() & after.keys()
        for key in before[section].keys() | after[section].keys()
        if key not in free and before[section].get(key) != after[section].get(key)
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
    going_on = Config.model_validate(after)
    write_text(path, going_on.to_toml())
    return going_on


def _sections(config: Config) -> dict[str, dict[str, Any]]:
    return {section: table for section, table in config.model_dump().items() if table is not None}
