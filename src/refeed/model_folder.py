"""The model folder: everything that prediction needs, nothing that runs code.

    config.toml         what the model is and how it was trained
    model.safetensors   the weights of the best epoch; its header binds it to the two files beside it
    last.safetensors    the weights of the last epoch
    items.parquet       columns item, title (null where unknown), count, mean (of the training ratings)
    items.json          item, title and count again, for runtimes without DuckDB (`refeed.lite`)
    history/            the training ratings, a store; what is known of a known user
    metrics.jsonl       a line an epoch
    card.md             what this is, for people
    resume.pt           the training's state, for --resume

`history/` may be removed: the model then serves everyone who brings their ratings, and no known user.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import duckdb
import numpy as np
from jaxtyping import Float64, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from refeed.config import Config, config_from_toml
from refeed.errors import ModelError
from refeed.factory import build_model
from refeed.files import atomic_file
from refeed.model_header import (
    FORMAT,
    check_file,
    check_settings,
    check_there,
    check_weights_there,
    checked_header,
    digest_file,
    digest_settings,
    digest_weights,
)
from refeed.models.interface import Model
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

__all__ = [
    "FORMAT",
    "ModelFolder",
    "binding",
    "check_absent",
    "create_folder",
    "save_weights",
    "write_card",
    "write_text",
]


@dataclass(frozen=True, eq=False)
class ModelFolder:
    """A model as loaded from its folder.

    Args:
        config: what it is.
        model: predicts.
        item_ids: raw ids of the items, by position.
        titles: titles of the items ("" where unknown), or None.
        item_counts: training ratings of each item.
        item_means: their mean; NaN where there is none.
        scale: the lowest and the highest training rating.
        histories: the training ratings, or None if `history/` was removed.
    """

    config: Config
    model: Model
    item_ids: Ids
    titles: tuple[str, ...] | None
    item_counts: Int64[np.ndarray, " items"]
    item_means: Float64[np.ndarray, " items"]
    scale: tuple[float, float]
    histories: Ratings | None

    @classmethod
    def load(cls, run: Path, weights: Literal["model", "last"] = "model") -> "ModelFolder":
        """Read and check a model folder.

        Args:
            run: the folder.
            weights: "model", the best epoch's, or "last".

        Raises:
            ModelError: no model there, incomplete, damaged, mixed from two, or of another version.
            StoreError: its `history/` is damaged.
        """
        if not run.is_dir():
            raise ModelError(f"{run} is no model folder; give the folder that `refeed train --out` wrote")
        tensors, header = _read_weights(run / f"{weights}.safetensors")
        config = _read_config(run / "config.toml", header["model"])
        check_file(run / "items.parquet", header["items"])
        ids, titles, counts, means = _read_items(run / "items.parquet")
        histories = Ratings.load(run / "history") if (run / "history").exists() else None
        model = build_model(config, n_users=int(header["users"]), n_items=len(ids))
        low, high = header["scale"].split()
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise ModelError(f"{run}: the weights don't fit config.toml: {error}") from error
        return cls(
            config=config,
            model=model.eval(),
            item_ids=ids,
            titles=titles,
            item_counts=counts,
            item_means=means,
            scale=(float(low), float(high)),
            histories=histories,
        )


def check_absent(run: Path) -> None:
    """Refuse to write over something.

    Raises:
        ModelError: the folder exists already.
    """
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ModelError(
            f"{run} exists already; choose another --out, or go on with its training by --resume"
        )


def create_folder(run: Path, config: Config, train: Ratings) -> None:
    """Write all that is known before training: history/, items.parquet, config.toml and card.md.

    Raises:
        ModelError: the folder exists already.
    """
    check_absent(run)
    run.mkdir(parents=True, exist_ok=True)
    train.save(run / "history")
    _write_items(run, train)
    write_card(run, config, train, [])
    write_text(run / "config.toml", config.to_toml())  # last: with it, the folder can be resumed


def binding(run: Path, config: Config, train: Ratings) -> dict[str, str]:
    """What the header of weights says of the run that they belong to; pass it to `save_weights`."""
    low, high = train.scale
    if not (run / "items.json").is_file():  # a training that was started before there was such a file
        _write_known(run, train)
    return {
        "model": _digest_config(config),
        "items": digest_file(run / "items.parquet"),
        "catalogue": digest_file(run / "items.json"),
        "users": str(train.n_users),
        "scale": f"{low!r} {high!r}",
    }


def save_weights(path: Path, state: Mapping[str, Tensor], bound_to: Mapping[str, str]) -> None:
    """Write weights, whole or not at all, bound to their run by the header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    header = {"format": FORMAT, "refeed": version("refeed"), **bound_to}
    header["checksum"] = digest_weights({name: tensor.numpy() for name, tensor in tensors.items()}, header)
    with atomic_file(path) as beside:
        # In one entry, since safetensors writes several in random order: the same model is the same bytes.
        save_file(tensors, beside, metadata={"refeed": json.dumps(header, sort_keys=True)})


def _read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    check_weights_there(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("refeed", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it, or train again") from error
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return tensors, checked_header(path, header, arrays)


def _read_config(path: Path, digest: str) -> Config:
    check_there(path)
    try:
        config = config_from_toml(path.read_text(encoding="utf-8"), where=str(path))
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is damaged ({error}); restore it") from error
    check_settings(path, _digest_config(config), digest)
    return config


def _digest_config(config: Config) -> str:
    return digest_settings(config.model.model_dump(), config.train.precision)


def _write_items(run: Path, train: Ratings) -> None:
    titles = np.empty(train.n_items, dtype=np.object_)
    titles[:] = [title or None for title in train.titles or [""] * train.n_items]
    items = {  # noqa: F841 - DuckDB reads it by its name
        "item": train.item_ids.as_array(),
        "title": titles,
        "count": train.item_counts,
        "mean": train.item_means,
    }
    with atomic_file(run / "items.parquet") as beside, duckdb.connect() as db:
        target = str(beside).replace("'", "''")
        db.execute(f"COPY items TO '{target}' (FORMAT parquet)")
    _write_known(run, train)


def _write_known(run: Path, train: Ratings) -> None:
    titles = [title or None for title in train.titles or [""] * train.n_items]
    known = {"item": list(train.item_ids), "title": titles, "count": train.item_counts.tolist()}
    write_text(run / "items.json", json.dumps(known, ensure_ascii=False))


def _read_items(
    path: Path,
) -> tuple[Ids, tuple[str, ...] | None, Int64[np.ndarray, " items"], Float64[np.ndarray, " items"]]:
    with duckdb.connect() as db:
        rows = db.execute("SELECT item, title, count, mean FROM read_parquet(?)", [str(path)]).fetchall()
    titles = tuple(title or "" for _, title, _, _ in rows)
    return (
        Ids(item for item, _, _, _ in rows),
        titles if any(titles) else None,
        np.array([count for _, _, count, _ in rows], dtype=np.int64),
        np.array([mean for _, _, _, mean in rows], dtype=np.float64),
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_card(
    run: Path, config: Config, train: Ratings, metrics: Sequence[Mapping[str, int | float | None]]
) -> None:
    """Write card.md: what the model is, from what, and how good on validation."""
    low, high = train.scale
    source = "\n".join(f"- {key}: {value}" for key, value in train.source.items())
    scored = [line for line in metrics if line["valid_rmse"] is not None]
    best = min(scored, key=lambda line: line["valid_rmse"] or 0.0, default=None)
    result = f"- best validation RMSE {best['valid_rmse']:.4f}, epoch {best['epoch']}\n" if best else ""
    text = f"""# Model card

A rating predictor made by refeed {version("refeed")}: kind `{config.model.kind}`.

- trained on {len(train):,} ratings of {train.n_items:,} items by {train.n_users:,} users
- rating scale: {low:g} to {high:g}, mean {train.mean:.4f}
{result}- settings: `config.toml`; errors of every epoch: `metrics.jsonl`

Where the ratings came from:

{source or "- not recorded"}

`history/` holds the training ratings themselves. Remove that folder before you give the model to someone who
may not see them; all but predictions for known users goes on working.
"""
    write_text(run / "card.md", text)
