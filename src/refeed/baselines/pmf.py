"""PMF and biased matrix factorisation by stochastic gradients, many ratings at a time."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from refeed.baselines.epochs import best_epoch
from refeed.baselines.solution import Factors
from refeed.config.baselines import PmfConfig
from refeed.errors import TrainingDivergedError
from refeed.optim.optimizer import uncompiled
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["pmf_loss", "solve_pmf"]


def pmf_loss(
    factors: tuple[Tensor, ...],
    users: Int64[Tensor, " pairs"],
    items: Int64[Tensor, " pairs"],
    values: Float[Tensor, " pairs"],
    decay: float,
) -> Float[Tensor, ""]:
    """½ Σ (e² + λ(‖p_u‖² + ‖q_i‖² + b_u² + b_i²)), a term for each rating.

    Args:
        factors: p [users, rank], q [items, rank] and, for MF, b_u [users], b_i [items].
        users: positions of the ratings' users.
        items: positions of the ratings' items.
        values: ratings minus μ.
        decay: λ.
    """
    of_users, of_items, *biases = factors
    p, q = of_users.index_select(0, users), of_items.index_select(0, items)
    predicted = (p * q).sum(dim=1)
    penalty = p.square().sum() + q.square().sum()
    if biases:
        b_u, b_i = biases[0].index_select(0, users), biases[1].index_select(0, items)
        predicted = predicted + b_u + b_i
        penalty = penalty + b_u.square().sum() + b_i.square().sum()
    return ((predicted - values).square().sum() + decay * penalty) / 2


def solve_pmf(config: PmfConfig, train: Ratings, valid: Ratings | None, seed: int) -> Factors:
    """Minimise `pmf_loss` over the training ratings.

    Raises:
        TrainingDivergedError: the loss became NaN or infinite.
    """
    mean = train.mean

    def predict(state: tuple[Tensor, ...], pairs: Aligned) -> Float64[np.ndarray, " pairs"]:
        p, q, *biases = (part.detach() for part in state)
        users, items = torch.from_numpy(pairs.users), torch.from_numpy(pairs.items)
        predicted = mean + (p[users] * q[items]).sum(dim=1)
        if biases:
            predicted = predicted + biases[0][users] + biases[1][items]
        result: Float64[np.ndarray, " pairs"] = predicted.double().numpy()
        return result

    with torch.enable_grad():
        state = best_epoch(_epochs(config, train, seed), predict, train, valid)
    p, q, *biases = (part.detach() for part in state)
    b_u, b_i = biases or (torch.zeros(len(p)), torch.zeros(len(q)))
    return Factors(mean, b_u, b_i, p, q)


def _epochs(config: PmfConfig, train: Ratings, seed: int) -> Iterator[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    sizes = (train.n_users, train.n_items)
    factors = [config.start * torch.randn(size, config.rank, generator=generator) for size in sizes]
    # Who has no rating is not trained, and is to be the mean.
    factors[0][torch.from_numpy(train.user_counts == 0)] = 0
    factors[1][torch.from_numpy(train.item_counts == 0)] = 0
    biases = [torch.zeros(size) for size in sizes if config.biases]
    state = tuple(part.requires_grad_() for part in [*factors, *biases])
    optimizer = uncompiled(torch.optim.SGD)(state, config.lr, momentum=config.momentum, fused=True)
    users, items = torch.from_numpy(train.users), torch.from_numpy(train.items.astype(np.int64))
    values = torch.from_numpy(train.values - np.float32(train.mean))
    # Small enough that no user or item has many ratings in one: their gradients are summed.
    size = min(max(len(train) // 100, 64), 100_000)
    for epoch in range(config.epochs):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * (1 - epoch / config.epochs)
        total = torch.zeros(())
        order = torch.randperm(len(train), generator=generator)
        for first in range(0, len(train), size):
            some = order[first : first + size]
            loss = pmf_loss(state, users[some], items[some], values[some], config.decay)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach()
        if not total.isfinite():
            raise TrainingDivergedError(
                f"the loss became {float(total):g} in epoch {epoch + 1}; try a smaller rate "
                f"(--set model.lr={config.lr / 5:.2g})"
            )
        yield state
