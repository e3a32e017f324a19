"""The model folder: everything that prediction needs, nothing that runs code.

    config.toml         what the model is and how it was trained
    model.safetensors   the weights of the best epoch; its header binds it to the two files beside it
    last.safetensors    the weights of the last epoch
    items.parquet       columns item, title (null where unknown), count, mean (of the training ratings)
    items.json          item, title and count again, for runtimes without DuckDB (`refeed.lite`)
    history/            the training ratings, a store; what is known of a known user
    metrics.jsonl       a line an epoch
    card.md             what this is, for people
    interactions.safetensors   who takes what up, for lists; absent where lists go by the rating alone
    resume.pt           the training's state, for --resume; gone once it is over

`history/` may be removed: the model then serves everyone who brings their ratings, and no known user.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from refeed.config import Config, config_from_toml
from refeed.errors import ModelError
from refeed.files import atomic_file, atomic_folder, write_text
from refeed.model_header import (
    FORMAT,
    check_same_run,
    check_settings,
    check_there,
    check_weights_there,
    checked_header,
    digest_file,
    digest_settings,
    digest_weights,
)
from refeed.model_items import Items, write_items
from refeed.models.interactions.choose import FittedConfig
from refeed.models.list_part import ListPart
from refeed.ratings.store import DataKind, Ratings

__all__ = [
    "FORMAT",
    "STATE",
    "Metrics",
    "binding",
    "check_absent",
    "create_folder",
    "read_config",
    "read_lists",
    "read_metrics",
    "read_weights",
    "save_lists",
    "save_weights",
    "write_card",
    "write_metrics",
]

STATE = "resume.pt"
"""There from a training's beginning to its end: empty until the first checkpoint."""

_LISTS = "interactions"

Metrics = dict[str, int | float | None]
"""A line of metrics.jsonl."""


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
    """Write all that is known before training: history/, items.parquet, config.toml, card.md, no state yet.

    Raises:
        ModelError: the folder exists already.
    """
    check_absent(run)
    # Atomic: who is killed here leaves nothing that --resume would stumble over.
    with atomic_folder(run) as folder:
        train.save(folder / "history")
        write_items(folder, Items.of(train))
        write_card(folder, config, train, [])
        write_text(folder / "config.toml", config.to_toml())
        (folder / STATE).touch()


def binding(
    run: Path, config: Config, n_users: int, scale: tuple[float, float], kind: DataKind = "ratings"
) -> dict[str, str]:
    """What the header of weights says of the folder that they belong to; pass it to `save_weights`."""
    low, high = scale
    return {
        "model": digest_settings(config.to_toml()),
        "items": digest_file(run / "items.parquet"),
        "catalogue": digest_file(run / "items.json"),
        "users": str(n_users),
        "scale": f"{low!r} {high!r}",
        "kind": kind,
    }


def save_weights(path: Path, state: Mapping[str, Tensor], bound_to: Mapping[str, str]) -> None:
    """Write weights, whole or not at all, bound to their run by the header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    header = {"format": FORMAT, "refeed": version("refeed"), **bound_to}
    header["checksum"] = digest_weights({name: tensor.numpy() for name, tensor in tensors.items()}, header)
    with atomic_file(path) as beside:
        # In one entry, since safetensors writes several in random order: the same model is the same bytes.
        save_file(tensors, beside, metadata={"refeed": json.dumps(header, sort_keys=True)})


def read_weights(run: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights of a name, and their header.

    Raises:
        ModelError: they are missing, damaged, or of another version.
    """
    path = run / f"{name}.safetensors"
    check_weights_there(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("refeed", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it, or train again") from error
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return tensors, checked_header(path, header, arrays)


def read_config(path: Path, digest: str) -> Config:
    """Read config.toml.

    Raises:
        ModelError: it is missing, damaged, or another one than the weights were bound to.
    """
    check_there(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is damaged ({error}); restore it") from error
    config = config_from_toml(text, where=str(path))
    check_settings(path, digest_settings(text), digest)
    return config


def save_lists(run: Path, lists: ListPart, bound_to: Mapping[str, str]) -> None:
    """Write the second part of a model, atomically, bound to its run by the header."""
    header = {**bound_to, "interactions": lists.config.model_dump_json()}
    save_weights(run / f"{_LISTS}.safetensors", lists.tensors(), header)


def read_lists(run: Path, n_items: int, bound_to: Mapping[str, str]) -> ListPart | None:
    """The second part of a model; None where there is none.

    Args:
        run: the folder.
        n_items: of the model.
        bound_to: the header of the first part.

    Raises:
        ModelError: it is damaged, or another run's.
    """
    path = run / f"{_LISTS}.safetensors"
    if not path.is_file():
        return None
    tensors, header = read_weights(run, _LISTS)
    check_same_run(path, header, bound_to)
    config = TypeAdapter(FittedConfig).validate_json(header["interactions"])
    try:
        return ListPart.load(config, n_items, tensors)
    except (RuntimeError, KeyError) as error:
        raise ModelError(f"{path} does not hold what its header says: {error}") from error


def write_metrics(path: Path, metrics: Sequence[Metrics]) -> None:
    """Write metrics.jsonl: a line an epoch."""
    write_text(path, "".join(json.dumps(line) + "\n" for line in metrics))


def read_metrics(path: Path) -> list[Metrics]:
    """Read metrics.jsonl; nothing where it has been removed."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_card(
    run: Path,
    config: Config,
    train: Ratings,
    metrics: Sequence[Metrics],
    lists: ListPart | None = None,
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
{result}{_listed(lists)}- settings: `config.toml`; errors of every epoch: `metrics.jsonl`

Where the ratings came from:

{source or "- not recorded"}

`history/` holds the training ratings themselves. Remove that folder before you give the model to someone who
may not see them; all but predictions for known users goes on working.
"""
    write_text(run / "card.md", text)


def _listed(lists: ListPart | None) -> str:
    """What the card says of lists."""
    if lists is None:
        return "- lists go by the predicted rating, shrunk by support\n"
    kind = f"an interaction model of kind `{lists.config.kind}`"
    if lists.liking is None:
        return f"- lists go by who takes what up: {kind}\n"
    return (
        f"- lists go by who takes what up ({kind}) and P(liked), liked being a rating of "
        f"{lists.liking.liked:g} or more; weight of the latter β = {lists.weights.beta:g}\n"
    )
