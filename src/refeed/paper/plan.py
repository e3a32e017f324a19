"""What all experiments of a report have in common: the ratings, and how much is tried."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from refeed.paper.data import Data, Protocol
from refeed.paper.group import Group
from refeed.paper.scheduler import Outcomes
from refeed.paper.trial import Run
from refeed.paper.windows import GIVEN

__all__ = ["Plan", "Variant", "network"]

_TITLES = {"3m": "3 months", "6m": "6 months", "1y": "1 year", "full": "full", GIVEN.name: "given split"}


@dataclass(frozen=True)
class Variant:
    """A recipe and settings over it.

    Args:
        label: what to call it.
        recipe: its name.
        settings: `section.key=value` each.
    """

    label: str
    recipe: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A report's ratings and size.

    Args:
        data: the ratings.
        windows: for tables 1, 3 and 4.
        seeds: seeds, and with each its own coin, for every variant.
        epochs: at most so many; None: as the recipes say.
    """

    data: Data
    windows: tuple[str, ...]
    seeds: int = 1
    epochs: int | None = None

    @property
    def window(self) -> str:
        """For the experiments on one window: the full one, if it is there."""
        return "full" if "full" in self.windows else self.windows[0]

    def title(self, window: str) -> str:
        """A window's name for people."""
        return _TITLES[window]

    def within(self, window: str, what: str) -> str:
        """What is measured in a window, named by it if there are several."""
        return what if len(self.windows) == 1 else f"{self.title(window)}: {what}"

    def runs(
        self, variant: Variant, window: str | None = None, protocol: Protocol = "paper"
    ) -> Iterator[Run]:
        """A variant's trainings, one a seed."""
        for seed in range(self.seeds):
            yield Run(window or self.window, variant.recipe, variant.settings, seed, protocol, self.epochs)

    def group(
        self,
        outcomes: Outcomes,
        variant: Variant,
        window: str | None = None,
        protocol: Protocol = "paper",
    ) -> Group:
        """What became of a variant's trainings."""
        runs = list(self.runs(variant, window, protocol))
        return Group(
            {run.seed: outcomes.results[run] for run in runs if run in outcomes.results},
            {run.seed: outcomes.failed[run] for run in runs if run in outcomes.failed},
        )

    def updates(self) -> str:
        """How much training the paper's recipes get here, against the paper's, in words."""
        users, _, _ = self.data.parts(self.window, "paper", 0).shape
        here = max(1, users // 128)
        epochs = "and epochs are the paper's"
        if self.epochs is not None:
            epochs = f"are the paper's, of its 100 epochs at most {self.epochs}"
        return (
            f"Learning rates, batches of 128 users {epochs}. Here an epoch has {here:,} updates, in the "
            f"paper's full window {477_412 // 128:,}: with fewer ratings the same recipe trains less far."
        )


def network(
    label: str,
    encoder: list[int],
    *,
    activation: Literal["sigmoid", "relu", "relu6", "tanh", "elu", "lrelu", "swish", "selu"] = "selu",
    linear_output: bool = False,
    dropout: float = 0.0,
    tied: bool = False,
    lr: float = 0.001,
    refeed: int = 0,
) -> Variant:
    """The paper's autoencoder: SGD with momentum 0.9, batches of 128 (section 3.1)."""
    settings = (
        f"model.encoder={encoder}",
        f'model.activation="{activation}"',
        f"model.output_activation={str(not linear_output).lower()}",
        f"model.dropout={dropout}",
        f"model.tied={str(tied).lower()}",
        f"train.lr={lr}",
        f"train.refeed={refeed}",
    )
    return Variant(label, "deeprec-netflix-full", settings)
