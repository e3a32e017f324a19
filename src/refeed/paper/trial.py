"""One training of a report, and what is known of it once it is done."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from refeed.config import AutoencoderConfig, Config, load_recipe
from refeed.files import write_text
from refeed.paper.data import Parts, Protocol

__all__ = ["Result", "Run", "read_result", "write_result"]


@dataclass(frozen=True)
class Run:
    """A recipe with its settings, on a window, by a protocol, from a seed.

    Args:
        window: name of the window.
        recipe: name of a packaged recipe.
        settings: `section.key=value` each, laid over it.
        seed: of the training, and the coin that halves the test interval: so several seeds are several coins.
        protocol: how the checkpoint is chosen.
        epochs: at most so many; None: as the recipe says. Learning-rate steps move in proportion.
    """

    window: str
    recipe: str
    settings: tuple[str, ...] = ()
    seed: int = 0
    protocol: Protocol = "paper"
    epochs: int | None = None

    @cached_property
    def config(self) -> Config:
        """All settings, resolved."""
        config = load_recipe(self.recipe, [*self.settings, f"train.seed={self.seed}"])
        if self.epochs is None:
            return config
        train, model, epochs = config.train, config.model, self.epochs
        if epochs < train.epochs:
            milestones = [max(1, round(at * epochs / train.epochs)) for at in train.milestones]
            train = train.model_copy(update={"epochs": epochs, "milestones": milestones})
        # Models that fit themselves count their passes themselves.
        if epochs < getattr(model, "epochs", 0):
            model = model.model_copy(update={"epochs": epochs})
        return config.model_copy(update={"train": train, "model": model})

    def key(self, parts: Parts) -> str:
        """A digest of all that decides the outcome: settings, protocol and ratings."""
        facts = [self.config.to_toml(), parts.digest]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def name(self, parts: Parts) -> str:
        """The folder of the run: for people, and by the end of it for no other settings or ratings."""
        return (
            f"{self.window}-{self.protocol}-{_described(self.config)}-seed{self.seed}-{self.key(parts)[:8]}"
        )


def _described(config: Config) -> str:
    model, train = config.model, config.train
    if not isinstance(model, AutoencoderConfig):
        return model.kind
    words = ["x".join(map(str, model.encoder)), model.activation, f"lr{train.lr:g}"]
    words += ["items"] * (model.axis == "item") + ["tied"] * model.tied
    words += [f"dp{model.dropout:g}"] if model.dropout else []
    words += [f"rf{train.refeed}"] if train.refeed else []
    words += ["residual"] * (model.target == "residual")
    return "-".join(words)


@dataclass(frozen=True, eq=False)
class Result:
    """What a finished run left.

    Args:
        key: of the run; see `Run.key`.
        folder: its model folder.
        epochs: that were trained.
        seconds: of training, without reading and evaluation; over all sittings.
        peak_mib: the most memory that the process of its last sitting held until training ended.
        diverged: the message, if the training diverged; there is nothing below then.
        best_epoch: the one that is kept, counted from 1.
        valid_rmse: of that epoch, not clipped, on the ratings that chose it.
        test_rmse: of the checkpoint on the test ratings, not clipped.
        test_rmse_clipped: likewise, clipped to the scale of the training ratings.
        parameters: of a network or another model with weights, else None.
        cold: test ratings left out, as training knows none of their user or item.
        pairs: a digest of the test ratings that were predicted.
    """

    key: str
    folder: Path
    epochs: int
    seconds: float
    peak_mib: float
    diverged: str | None = None
    best_epoch: int | None = None
    valid_rmse: float | None = None
    test_rmse: float | None = None
    test_rmse_clipped: float | None = None
    parameters: int | None = None
    cold: int = 0
    pairs: str = ""

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl: an epoch each."""
        path = self.folder / "metrics.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    @cached_property
    def batch_rmse(self) -> Float64[np.ndarray, " batches"]:
        """The training RMSE of every mini-batch, in order (√ of equation 1's MMSE, before the update)."""
        path = self.folder / "batches.csv"
        if not path.exists():
            return np.empty(0)
        # A batch that was trained on again after an interruption is there twice: the later line counts.
        losses: dict[tuple[str, str], float] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            if (
                line.count(",") == 2
            ):  # a power cut may tear a line, and what goes on then is written behind it
                epoch, users, loss = line.split(",")
                losses[epoch, users] = float(loss)
        places = sorted(losses, key=lambda place: (int(place[0]), int(place[1])))
        return np.sqrt([losses[place] for place in places])

    def errors(
        self, *, clipped: bool = False
    ) -> tuple[Int64[np.ndarray, " users"], Float64[np.ndarray, "users 3"]]:
        """The test errors by user: positions in the training, and ratings, squared and absolute sums."""
        with np.load(self.folder / "errors.npz", allow_pickle=False) as arrays:
            return arrays["users"], arrays["clipped" if clipped else "raw"]


def write_result(result: Result) -> None:
    """Write result.json into the run's folder, atomically: with it, the run is done."""
    facts = {name: value for name, value in asdict(result).items() if name != "folder"}
    write_text(result.folder / "result.json", json.dumps(facts, indent=2) + "\n")


def read_result(folder: Path, key: str) -> Result | None:
    """What a run left, or None if it isn't done, or was of other settings or ratings."""
    path = folder / "result.json"
    if not path.is_file():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    return Result(folder=folder, **facts) if facts["key"] == key else None
