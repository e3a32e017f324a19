"""Training the ridge autoencoder end to end on exact leave-one-out errors.

Every rating is predicted from the user's others. What an item is, is learned from who rated it, too (notation
as in `models/ridge/model.py`):

    v_i = V_i + n_i^-½ Σ_{w rated i} F_w,    b_i = b0_i + n_i^-½ Σ_{w rated i} f_w

While a batch of users is predicted, these sums leave the batch's own users out (cross-fitting): an item must
not know who is asking. The loss is the mean squared error over the batch's ratings; a share of these is
hidden from the code (and predicted like any other), and the vectors v are multiplied by noise, so that no
rating and no direction is relied upon too much. Priors are Gaussian: the precision of each of V, b0, F and Y,
divided by the number of ratings, is the factor of an L2 penalty.

The same errors teach how far apart the levels of the scale are (`spacing.py`). How fast F may move depends on
how many raters items have (`rate.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int32, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag

from refeed.config import Config, RidgeConfig
from refeed.models.interface import Model
from refeed.models.intervals import quantiles
from refeed.models.learner import Choices
from refeed.models.ridge.complete import complete
from refeed.models.ridge.interaction_matrix import InteractionMatrix
from refeed.models.ridge.levels import levels_of
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.ridge.padded import Padded, padded
from refeed.models.ridge.places import RARE, Places, precision_of
from refeed.models.ridge.posterior import leave_one_out
from refeed.models.ridge.rate import share_of_rate
from refeed.models.ridge.spacing import curved, knots_of, shift_at
from refeed.models.share import Share
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

__all__ = ["RidgeExample", "RidgeLearner"]

_START = 0.05  # deviation of V at the start
_DOUBT = 0.3  # a at the start
_CALIBRATED = 2000  # users whose leave-one-out errors tell how sure predictions are
_PRIOR_SPACING = 30.0  # precision of what g is made of, against a rating's
_OFTEN = 64  # F is updated so often that its sums, over all ratings, cost at most about what the batches cost


@dataclass(frozen=True)
class RidgeExample:
    """The histories of a batch of users.

    Args:
        users: of the whole batch, whatever this process's share of it is.
        distinct: the items that they rated, ascending.
        by_user: positions in `distinct` of all their ratings, and where each user's start.
        by_item: positions in `users` of the same ratings sorted by item, and where each item's start.
        indptr: where the ratings of each user of the share start, and the end of the last.
        items: positions in `distinct` of the share's ratings.
        values: the share's ratings, standardised.
        observed: whether the code sees them.
    """

    users: Int64[Tensor, " users"]
    distinct: Int64[Tensor, " distinct"]
    by_user: tuple[Int32[Tensor, " ratings"], Int32[Tensor, " users"]]
    by_item: tuple[Int32[Tensor, " ratings"], Int32[Tensor, " distinct"]]
    indptr: Int64[np.ndarray, " bounds"]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    observed: NDArray[np.float32]


class RidgeLearner(nn.Module):
    """The parameters of the training (a `Learner`); `finished` makes the model that predicts.

    Args:
        config: the model's, of a resolved width, and the training's.
        train: the training ratings.
        device: where the numbers are computed.
        calibrated: whether a finished model gets its quantiles from the training's errors; False where they
            come from held-out ratings, or aren't asked for.
    """

    waiting: Tensor
    own: Tensor
    steps: Tensor

    def __init__(
        self, config: Config, train: Ratings, device: torch.device, *, calibrated: bool = True
    ) -> None:
        super().__init__()
        model = config.model
        self._calibrated, self._seed = calibrated, config.train.seed
        if not isinstance(model, RidgeConfig) or "auto" in (
            model.width,
            model.prior_users,
            model.prior_vectors,
            model.prior_bias,
            model.prior_user_bias,
        ):
            raise TypeError("the width and the priors must be resolved first (models/ridge/auto.py)")
        self.config, self.rows = model, train
        dtype = torch.float64 if config.train.precision == "float64" else torch.float32
        width, like = int(model.width), torch.empty(0, dtype=dtype, device=device)
        self._interactions = InteractionMatrix(train, device)
        # Rare items are touched by few steps: what these can't learn must be there at the start.
        self._levels, scale = levels_of(train, model, self._interactions)
        levels, self.mean = self._levels, self._levels.mean
        self.deviation = float(train.values.std(dtype=np.float64)) or 1.0
        self.knots = knots_of(train.values)
        self._knots = torch.from_numpy((self.knots - self.mean) / self.deviation).to(like)
        self._curved = torch.from_numpy(curved(self.knots, train.values)).to(like)
        counts = torch.from_numpy(train.item_counts)
        self._root = counts.clamp(min=1).to(like).rsqrt()[:, None]
        self._rareness = 1 / (counts.to(like) + RARE)
        generator = torch.Generator().manual_seed(config.train.seed)
        start = torch.randn(train.n_items, width, generator=generator) * _START
        self.vectors = nn.Parameter(start.to(like))
        self.bias = nn.Parameter(torch.from_numpy(levels.items / self.deviation).to(like))
        self.scale = nn.Parameter(like.new_tensor(scale))
        self.users = nn.Parameter(like.new_zeros(train.n_users, width))
        self.user_bias = nn.Parameter(torch.from_numpy(levels.raters / self.deviation).to(like))
        self.implicit = nn.Parameter(like.new_zeros(train.n_items, width + 1))
        self.log_doubt = nn.Parameter(like.new_tensor(np.log(_DOUBT)))
        self.spacing = nn.Parameter(like.new_zeros(len(self.knots)), requires_grad=model.spacing)
        # What F's next update will be made of, and when it is due; saved, as training may stop in between.
        self.register_buffer("waiting", like.new_zeros(train.n_items, width + 1))
        self.register_buffer("own", like.new_zeros(train.n_users, width + 1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._cells = torch.empty(0, dtype=torch.int64, device=device)  # items of the last batch
        self._sums: Tensor | None = None  # of F over each item's users; None: out of date

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer moves, each with its prior as an L2 penalty."""
        model, ratings = self.config, len(self.rows)

        def group(parameter: nn.Parameter, prior: float | str, **more: float) -> dict[str, Any]:
            return {"params": [parameter], "weight_decay": float(prior) / ratings, **more}

        share = share_of_rate(self.rows.item_counts)
        return [
            group(self.vectors, model.prior_vectors),
            group(self.users, model.prior_users, share=share),
            group(self.user_bias, model.prior_user_bias, share=share),
            group(self.implicit, model.prior_implicit),
            group(self.bias, model.prior_bias),
            {"params": [self.scale, self.log_doubt], "weight_decay": 0.0},
            group(self.spacing, _PRIOR_SPACING),
        ]

    def sparse_matrices(self, touched: float) -> tuple[()]:  # noqa: ARG002
        """None: their priors, an L2 penalty, touch every row."""
        return ()

    def choose_paths(self, choices: Choices, runtime: Runtime, say: Callable[[str], None]) -> None:
        """There is one way only."""

    def facts(self, batch: int, touched: float, runtime: Runtime) -> list[str]:  # noqa: ARG002
        """None beside the sizes."""
        return []

    def hints(self) -> list[str]:
        """None beside a smaller rate."""
        return []

    def complete(self, model: Model, train: Ratings, held_out: Aligned | None) -> str | None:
        """What can be set only once the rest is learned (`complete.py`; see `Learner`)."""
        if not isinstance(model, RidgeAutoencoder):
            raise TypeError(f"a ridge autoencoder is completed here, not a {type(model).__name__}")
        return complete(model, train, held_out, self._levels, seed=self._seed)

    # ------------------------------------------------------------------ batches

    def example(
        self, place: tuple[int, int, int], users: Int64[np.ndarray, " users"], mine: slice
    ) -> RidgeExample:
        """The histories of a batch of users, some of the ratings hidden (see `Learner`)."""
        observed = np.random.default_rng(place).random(int(self.rows.user_counts[users].sum()))
        return self._example(users, mine, observed >= self.config.hidden)

    def _example(
        self, users: Int64[np.ndarray, " users"], share: slice, observed: NDArray[np.bool_]
    ) -> RidgeExample:
        indptr, items, values = self.rows.rows(users)
        counts = np.bincount(items, minlength=self.rows.n_items)
        distinct = np.flatnonzero(counts)
        lookup = np.zeros(self.rows.n_items, dtype=np.int32)
        lookup[distinct] = np.arange(len(distinct), dtype=np.int32)
        at = lookup[items]
        owners = np.repeat(np.arange(len(users), dtype=np.int32), np.diff(indptr))
        starts = np.concatenate([[0], np.cumsum(counts[distinct])[:-1]])
        mine = slice(indptr[share.start], indptr[share.stop])

        def moved(array: np.ndarray, dtype: type = np.int32) -> Tensor:
            return torch.from_numpy(array.astype(dtype, copy=False)).to(self.vectors.device)

        return RidgeExample(
            users=moved(users, np.int64),
            distinct=moved(distinct, np.int64),
            by_user=(moved(at), moved(indptr[:-1])),
            by_item=(moved(owners[np.argsort(at, kind="stable")]), moved(starts)),
            indptr=indptr[share.start : share.stop + 1] - indptr[share.start],
            items=at[mine],
            values=((values[mine] - self.mean) / self.deviation).astype(np.float32),
            observed=observed[mine].astype(np.float32),
        )

    # ------------------------------------------------------------------ a step

    def step(
        self,
        share: Share[RidgeExample],
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        runtime: Runtime,
    ) -> list[Float[Tensor, ""]]:
        """One update from a batch (see `Learner`)."""
        loss = self.gradients(share.example, generator, runtime)
        for parameter in self.parameters():
            if parameter.grad is not None:
                runtime.sum_tensor(parameter.grad)
        optimizer.step()
        if self.users.grad is not None:
            self.refresh()
        return [loss * self.deviation**2]

    def gradients(
        self, example: RidgeExample, generator: torch.Generator, runtime: Runtime
    ) -> Float[Tensor, ""]:
        """Set the gradients of a batch's loss, which is returned; those of F only when its update is due."""
        self.users.grad = self.user_bias.grad = None
        cells, ratings = example.distinct, runtime.total(len(example.items))
        vectors, bias = self._items_of(example)
        noise = torch.randn(vectors.shape, generator=generator, dtype=vectors.dtype, device=vectors.device)
        noise = noise.mul_(self.config.noise).add_(1)
        table = torch.cat([vectors * noise, bias[:, None], self.implicit.detach()[cells]], dim=1)
        gradient, loss = torch.zeros_like(table), table.new_zeros(())
        # A process whose share of the batch is empty has no gradient of its own.
        for parameter in (self.scale, self.log_doubt, self.spacing):
            parameter.grad = torch.zeros_like(parameter)
        for block in padded(example.indptr):
            items, found = self._found(example, block, table)
            part = self._errors(example, block, items, found.requires_grad_())[0].square().sum() / ratings
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
            if found.grad is not None:
                gradient.index_add_(0, items.flatten(), found.grad.flatten(0, 1))
        width = vectors.shape[1]
        grad_vectors, grad_bias, grad_implicit = (
            gradient[:, :width],
            gradient[:, width : width + 1],
            gradient[:, width + 1 :],
        )
        of_items = torch.cat([grad_vectors * noise, grad_bias], dim=1)
        self._set_gradient(self.vectors, cells, of_items[:, :-1])
        self._set_gradient(self.bias, cells, of_items[:, -1])
        self._set_gradient(self.implicit, cells, grad_implicit)
        self._cells = cells
        self._wait(example, of_items * self._root[cells])
        return loss

    def _set_gradient(self, parameter: nn.Parameter, cells: Int64[Tensor, " distinct"], rows: Tensor) -> None:
        """Of the batch's items, 0 for all others; the rows of the batch before are all that is not 0 yet."""
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        else:
            parameter.grad.index_fill_(0, self._cells, 0)
        parameter.grad.index_copy_(0, cells, rows)

    def _found(
        self, example: RidgeExample, block: Padded, table: Float[Tensor, "distinct columns"]
    ) -> tuple[Int64[Tensor, "users places"], Float[Tensor, "users places columns"]]:
        """Which of the batch's items are at a block's places, and what the table says of each."""
        items = torch.from_numpy(block.of(example.items).astype(np.int64)).to(table.device)
        return items, embedding(items, table)

    def _errors(
        self,
        example: RidgeExample,
        block: Padded,
        items: Int64[Tensor, "users places"],
        found: Float[Tensor, "users places columns"],
    ) -> tuple[Float[Tensor, "users places"], Float[Tensor, "users places"]]:
        """The leave-one-out errors of a block of users, and xᵀA⁻¹x of the codes that made them."""
        width = self.vectors.shape[1]
        values = torch.from_numpy(block.of(example.values)).to(found)
        places = Places.of(
            (found[..., :width], found[..., width], found[..., width + 1 :]),
            values,
            torch.from_numpy(block.of(example.observed)).to(found),
            shifts=shift_at(values, self._knots, self.shifts()),
            scale=self.scale,
            rareness=self._rareness[example.distinct[items]],
        )
        shrinkage = self.config.shrinkage
        errors, leverages = leave_one_out(
            places.vectors,
            places.residuals,
            shrinkage * places.implicit,
            precision_of(places, shrinkage, self.log_doubt.exp()),
            places.observed,
        )
        return (errors - places.shifts) * torch.from_numpy(block.rated).to(found), leverages

    def _wait(self, example: RidgeExample, grad_sums: Float[Tensor, "distinct width"]) -> None:
        """Add a batch's gradient of the sums to what F's next update is made of, and make it if it is due."""
        self.waiting[example.distinct] += grad_sums
        # A user of the batch is in none of its sums.
        self.own[example.users] += embedding_bag(
            example.by_user[0], grad_sums, example.by_user[1], mode="sum"
        )
        self.steps += 1
        every = max(1, len(self.rows) // (_OFTEN * max(len(example.by_user[0]), 1)))
        if int(self.steps) % every == 0:
            gradient = (self._interactions.over_items(self.waiting) - self.own) / every
            self.users.grad, self.user_bias.grad = gradient[:, :-1].contiguous(), gradient[:, -1].contiguous()
            self.waiting.zero_()
            self.own.zero_()

    def refresh(self) -> None:
        """Forget the sums of F, after F has changed."""
        self._sums = None

    def shifts(self) -> Float[Tensor, " knots"]:
        """The shifts g at the knots, standardised."""
        return self._curved @ self.spacing

    @torch.no_grad()
    def _of_users(self, some: slice | Int64[Tensor, " some"] = slice(None)) -> Float[Tensor, "some width"]:
        """F and f of some users, or of all, side by side."""
        return torch.cat([self.users[some], self.user_bias[some, None]], dim=1)

    @torch.no_grad()
    def sums(self) -> Float[Tensor, "items width"]:
        """Σ F and Σ f over the users who rated each item; computed anew once these have changed."""
        if self._sums is None:
            self._sums = self._interactions.over_users(self._of_users())
        return self._sums

    # ------------------------------------------------------------------ the model

    @torch.no_grad()
    def quantiles(self) -> Float64[np.ndarray, " levels"]:
        """How far ratings lie from what the user's others predict (see `Uncertain.quantiles`).

        Taken from the training ratings of some of the users, nothing hidden and no noise.
        """
        everybody = np.flatnonzero(self.rows.user_counts)
        users = np.random.default_rng(self._seed).permutation(everybody)[:_CALIBRATED]
        count = int(self.rows.user_counts[users].sum())
        example = self._example(users, slice(0, len(users)), np.ones(count, dtype=bool))
        vectors, bias = self._items_of(example)
        table = torch.cat([vectors, bias[:, None], self.implicit[example.distinct]], dim=1)
        errors, predictive_std = [], []
        for block in padded(example.indptr):
            each, leverages = self._errors(example, block, *self._found(example, block, table))
            errors.append(each.cpu().numpy()[block.rated] * self.deviation)
            predictive_std.append(np.sqrt(1 + leverages.cpu().numpy()[block.rated]))
        return quantiles(
            np.concatenate(errors).astype(np.float64), np.concatenate(predictive_std).astype(np.float64)
        )

    def _items_of(
        self, example: RidgeExample
    ) -> tuple[Float[Tensor, "distinct width"], Float[Tensor, " distinct"]]:
        """The v and b of a batch's items, the batch's own users left out of the sums."""
        cells, members = example.distinct, self._of_users(example.users)
        own = embedding_bag(example.by_item[0], members, example.by_item[1], mode="sum")
        pooled = (self.sums()[cells] - own) * self._root[cells]
        return self.vectors.detach()[cells] + pooled[:, :-1], self.bias.detach()[cells] + pooled[:, -1]

    @torch.no_grad()
    def finished(self) -> RidgeAutoencoder:
        """The model that these parameters make."""
        pooled = self.sums() * self._root
        model = RidgeAutoencoder(self.config, self.rows.n_items).to(pooled.device)
        if pooled.dtype == torch.float64:
            model.double()
        model.mean.fill_(self.mean)
        model.deviation.fill_(self.deviation)
        model.vectors.copy_(self.vectors + pooled[:, :-1])
        model.bias.copy_(self.bias + pooled[:, -1])
        model.implicit.copy_(self.implicit)
        model.scale.copy_(self.scale)
        model.knots = torch.from_numpy(self.knots).to(model.knots)
        model.spacing = self.shifts().to(model.spacing)
        model.doubt.copy_(self.log_doubt.exp())
        model.counts.copy_(torch.from_numpy(self.rows.item_counts))
        if self._calibrated:
            model.quantiles.copy_(torch.from_numpy(self.quantiles()))
        return model.eval()
