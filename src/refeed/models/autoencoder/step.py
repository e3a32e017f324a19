"""One iteration of the paper's section 2.2: an update from the ratings, then K from dense re-feeds."""

import torch
from jaxtyping import Float
from torch import Tensor

from refeed.config import TrainConfig
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import Example
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.refeed import feed
from refeed.models.autoencoder.refeed_cost import collapses
from refeed.optim.row_sparse import RowSparse
from refeed.runtime import Runtime

__all__ = ["takes_collapsed_path", "train_step"]


def train_step(
    model: Autoencoder,
    example: Example,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    dropout: Dropout,
    runtime: Runtime,
) -> list[Float[Tensor, ""]]:
    """Train on one batch: 1 + K updates, or a single one for the label "joint".

    With input dropout the first pass sees only what was kept; its loss, and that of the label "ratings",
    is of all ratings.

    A re-feed's input is the previous pass's output, detached, as it came out: before the weights moved, with
    the dropout's noise in it.

    Returns:
        The loss (MMSE, equation 1) of every pass, in order; the first is that of the ratings.
    """

    def update(loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        runtime.sum_gradients(model)
        optimizer.step()

    _catch_up(model, example, optimizer)
    hidden = model(example.inputs, dropout)
    losses = [_mmse(model, hidden, example, runtime)]
    if not config.refeed:
        update(losses[0])
        return [losses[0].detach()]
    collapsed = takes_collapsed_path(model, config, len(hidden))
    fed = feed(model, hidden, collapsed=collapsed)
    if config.refeed_label != "joint":
        update(losses[0])
    for left in reversed(range(config.refeed)):
        hidden = model.hidden(model.first_layer_dense(fed.times(model.item_in)), dropout)
        if config.refeed_label == "ratings":
            losses.append(_mmse(model, hidden, example, runtime))
        else:
            errors, count = fed.errors(model, hidden)
            losses.append(errors / runtime.total(count))
        if left:
            fed = feed(model, hidden, collapsed=collapsed)
        if config.refeed_label != "joint":
            update(losses[-1])
    if config.refeed_label == "joint":
        update(torch.stack(losses).sum())
    return [loss.detach() for loss in losses]


def _catch_up(model: Autoencoder, example: Example, optimizer: torch.optim.Optimizer) -> None:
    """Let the rows that the first pass reads be what all updates so far make of them."""
    if not isinstance(optimizer, RowSparse):
        return
    for matrix in model.item_matrices:
        # Inputs are some of the targets, so with tied weights the latter are all.
        read = example.targets if matrix is model.item_out_weight else example.inputs
        optimizer.catch_up(matrix, read.rated_items)


def takes_collapsed_path(model: Autoencoder, config: TrainConfig, users: int) -> bool:
    """Whether re-feeds of so many users are computed collapsed."""
    return collapses(model, users) if config.refeed_path == "auto" else config.refeed_path == "collapsed"


def _mmse(model: Autoencoder, hidden: Tensor, example: Example, runtime: Runtime) -> Tensor:
    """Equation 1 over the batch: its squared errors over its ratings, on all processes."""
    errors = (model.output_at(hidden, example.targets) - example.targets.values).square()
    if example.weights is None:
        return errors.sum() / runtime.total(len(errors))
    return (errors * example.weights).sum() / runtime.sum_tensor(example.weights.sum())
