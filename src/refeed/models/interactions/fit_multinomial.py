"""Train the autoencoder with a softmax over the items; the best epoch by validation is kept."""

from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from refeed.config.interactions import MultinomialConfig
from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.inputs import Inputs
from refeed.models.interactions.multinomial import Multinomial
from refeed.models.interactions.popularity import shares
from refeed.models.interactions.validation import HeldOut, held_out_lists
from refeed.optim.optimizer import uncompiled
from refeed.ratings.store import Ratings

__all__ = ["fit_multinomial", "multinomial_loss"]

Say = Callable[[str], None]
_POPULARITY = (0.01, 0.1, 0.3, 1.0)


def fit_multinomial(
    config: MultinomialConfig,
    train: Ratings,
    valid: Ratings | None = None,
    say: Say = print,
    *,
    seed: int = 0,
) -> tuple[MultinomialConfig, Multinomial]:
    """The config without "auto", and the model.

    Args:
        config: as given.
        train: the interactions to learn from.
        valid: held-out ones, on which the epoch and the popularity term are chosen; None: the last epoch.
        say: hears of every epoch.
        seed: of what is drawn beside the training, which has the config's.
    """
    inputs = Inputs(grade=config.grade, counts=config.values == "count").fit(train)
    generator = torch.Generator().manual_seed(config.seed)
    model = Multinomial(config, train.n_items, inputs, generator)
    held_out = held_out_lists(train, valid, seed=seed) if valid is not None and len(train) else None
    _train(model, config, train, held_out, generator, say)
    share = torch.from_numpy(shares(train)).float()
    chosen = config
    if config.popularity == "auto":
        chosen = config.model_copy(update={"popularity": _popularity(model, share, held_out, say)})
    model.popularity = share * float(chosen.popularity)
    return chosen, model.eval()


def multinomial_loss(logits: Float[Tensor, "users items"], targets: Batch) -> Float[Tensor, ""]:
    """−Σ_j x_j log softmax(f)_j, a mean over the users who have any.

    Args:
        logits: f.
        targets: x.
    """
    users = targets.users.long()
    own = logits[users, targets.items.long()] - logits.logsumexp(dim=1)[users]
    return -(own * targets.values).sum() / max(int((targets.counts > 0).sum()), 1)


def _train(
    model: Multinomial,
    config: MultinomialConfig,
    train: Ratings,
    held_out: HeldOut | None,
    generator: torch.Generator,
    say: Say,
) -> None:
    optimizer = uncompiled(torch.optim.AdamW)(
        model.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    best, found, waited = None, -1.0, 0
    for epoch in range(1, config.epochs + 1):
        model.train()
        losses = [
            _step(model, optimizer, batch, config.dropout, generator)
            for batch in _batches(model, train, config, epoch)
        ]
        line = f"multinomial: epoch {epoch}, loss {np.mean(losses) if losses else 0.0:.4f}"
        if held_out is None or not len(held_out):
            say(line)
            continue
        ndcg = float(held_out.ndcg(lambda users: next(model.score_blocks(train, users, len(users)))).mean())
        say(f"{line}, validation nDCG@10 {ndcg:.4f}")
        waited = 0 if ndcg > found else waited + 1
        if ndcg > found:
            best, found = deepcopy(model.state_dict()), ndcg
        if waited == config.patience:
            break
    if best is not None:
        model.load_state_dict(best)


def _batches(model: Multinomial, train: Ratings, config: MultinomialConfig, epoch: int) -> Iterator[Batch]:
    """The users with interactions in a random order of their own in every epoch."""
    users = np.flatnonzero(train.user_counts)
    order = np.random.default_rng([config.seed, epoch]).permutation(users)
    for first in range(0, len(order), config.batch):
        yield model.inputs.batch(train, order[first : first + config.batch], torch.device("cpu"))


def _step(
    model: Multinomial,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    dropout: float,
    generator: torch.Generator,
) -> float:
    kept = torch.rand(len(batch.items), generator=generator) >= dropout
    bounds = torch.cat([torch.zeros(1, dtype=torch.int64), kept.cumsum(0)])[batch.indptr.long()]
    seen = Batch(bounds.to(torch.int32), batch.items[kept], batch.values[kept], batch.n_items)
    loss = multinomial_loss(model.logits(seen), batch)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def _popularity(
    model: Multinomial, share: Float[Tensor, " items"], held_out: HeldOut | None, say: Say
) -> float:
    """The weight of the popularity term with the best lists; that list itself is what it is compared with."""
    if held_out is None or not len(held_out):
        return _POPULARITY[0]

    def ndcg(weight: float) -> Float64[np.ndarray, " users"]:
        def scores(users: Int64[np.ndarray, " some"]) -> Tensor:
            return next(model.score_blocks(held_out.train, users, len(users))).add_(share * weight)

        return held_out.ndcg(scores)

    tried = {weight: float(ndcg(weight).mean()) for weight in _POPULARITY}
    best = max(tried, key=lambda weight: tried[weight])
    popular = float(held_out.ndcg(lambda users: share.repeat(len(users), 1)).mean())
    say(
        f"validation nDCG@10 {tried[best]:.4f} with popularity {best:g}, that of the most popular list "
        f"{popular:.4f} ({len(held_out):,} users)"
    )
    return best
