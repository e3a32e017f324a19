"""What a training writes into its model folder: weights, of all members together, and metrics."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from refeed.config import Config, RidgeConfig
from refeed.factory import assembled, build_member, config_of_member
from refeed.files import same_file
from refeed.model_folder import ModelFolder, binding, save_weights, write_card, write_text
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.blend.model import Blend
from refeed.models.blend.weight import weigh
from refeed.models.calibrate import calibrate
from refeed.models.ensemble import Ensemble
from refeed.models.interface import Model
from refeed.models.intervals import Uncertain
from refeed.models.ridge.drift import carry_forward
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime
from refeed.training.checkpoint import Place
from refeed.training.progress import Reporter

__all__ = ["Metrics", "Run", "finish", "trained_members"]

Metrics = dict[str, int | float | None]
Weights = Literal["model", "last"]


@dataclass(frozen=True)
class Run:
    """What stays the same during a training, and what of it is in the folder.

    Args:
        out: the folder.
        config: settled.
        train: the training ratings.
        held_out: the validation ratings.
        runtime: the processes that train.
        reporter: hears about the progress.
        members: the networks that are trained already, of an ensemble or a blend.
    """

    out: Path
    config: Config
    train: Ratings
    held_out: Aligned | None
    runtime: Runtime
    reporter: Reporter
    members: list[Model]

    def save(self, name: str, model: Model) -> None:
        """Write weights; of several members those before, too, and this one in place of those to come.

        Networks to come that a ridge autoencoder is blended with are at their start, and weigh nothing yet.
        """
        whole = self._with_others(model) if self.config.members > 1 else model
        # A network that weighs nothing yet leaves the intervals as they are; `finish` takes it in.
        if isinstance(whole, Uncertain) and not isinstance(model, Autoencoder):
            calibrate(whole, self.train, self.held_out)
        self.write(name, whole)

    def _with_others(self, model: Model) -> Model:
        members = [*self.members, model]
        for member in range(len(members), self.config.members):
            if member < self.config.train.ensemble or isinstance(model, Autoencoder):
                members.append(copy.deepcopy(model))
            else:
                like = config_of_member(self.config, member)
                members.append(build_member(like, n_users=self.train.n_users, n_items=self.train.n_items))
        return assembled(self.config, members)

    def write(self, name: str, model: Model) -> None:
        """Write the weights of a whole model."""
        if self.runtime.rank == 0:
            bound_to = binding(self.out, self.config, self.train)
            weights = model.state_dict()  # type: ignore[attr-defined]
            save_weights(self.out / f"{name}.safetensors", weights, bound_to)

    def keep(self, name: str, other: str) -> None:
        """Save the weights of that name under another one, too."""
        if self.runtime.rank == 0:
            same_file(self.out / f"{name}.safetensors", self.out / f"{other}.safetensors")

    def save_metrics(self, metrics: list[Metrics]) -> None:
        """Write the errors of every epoch, and the card."""
        if self.runtime.rank == 0:
            write_text(self.out / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in metrics))
            write_card(self.out, self.config, self.train, metrics)


def trained_members(run: Run, count: int, weights: Weights = "model") -> list[Model]:
    """The first members, or the only one, each at its best, from the model folder."""
    if not count:
        return []
    model = ModelFolder.load(run.out, weights).model
    model.to(run.runtime.device)  # type: ignore[attr-defined]  # models are modules, too
    return model.each()[:count] if isinstance(model, Ensemble | Blend) else [model]


def finish(run: Run, place: Place) -> None:
    """What can be done only once a member is trained: an item's drift, and the weight of a network.

    Done anew where a training goes on, as what is there already doesn't count.
    """
    said: str | None = None
    if not isinstance(run.config.model, RidgeConfig):
        return
    best_is_last = place.best_epoch == place.epoch
    names: list[Weights] = ["model"] if best_is_last else ["last", "model"]
    for name in names:
        model = trained_members(run, place.member + 1, name)[-1]
        if isinstance(model, RidgeAutoencoder):
            said = carry_forward(model, run.train, run.held_out, run.config.model)
            calibrate(model, run.train, run.held_out)  # by itself, too, for what it will be a part of
            run.save(name, model)
        elif run.held_out and place.member + 1 == run.config.members:
            blend = assembled(run.config, [*run.members, model])
            if not isinstance(blend, Blend):
                raise TypeError(f"{run.out} holds no blend")
            said = weigh(blend, run.train, run.held_out)
            calibrate(blend, run.train, run.held_out)
            run.write(name, blend)
    if best_is_last:
        run.keep("model", "last")
    run.runtime.wait()
    if said:
        run.reporter.say(said)
