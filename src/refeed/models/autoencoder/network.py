"""The paper's deep autoencoder (section 2): layers of act(W x + b), code dropout, sparse in and sparse out.

In this file a row is a user and a column an item; an item-based model (`axis = "item"`) has them swapped.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int32, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from refeed.config import AutoencoderConfig
from refeed.models.autoencoder.activations import ACTIVATIONS
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.offsets import BiasOffsets, NoOffsets, Offsets
from refeed.models.autoencoder.products import product
from refeed.models.autoencoder.sparse import Batch, decode_at, encode, value_at
from refeed.models.biases import Biases, pick_damping
from refeed.ratings.store import Ratings

__all__ = ["Autoencoder"]

ROWS_AT_ONCE = 1024  # in prediction: enough to keep the matrix products busy, little enough to stay small
DEFAULT_DAMPING = (5.0, 3.0)  # of users and items, where there is nothing to choose it on

_Parts = tuple[NDArray[np.float64], NDArray[np.float64]] | None
_Block = Callable[[NDArray[np.int64]], Tensor]


class Autoencoder(nn.Module):
    """f(x) = decode(dropout(encode(x))), evaluated at the rated items or at all of them.

    The two matrices that touch the items, `item_in` (the first encoder layer, transposed) and `item_out` (the
    last decoder layer), are stored a row an item; all others are (out, in). Tied models have no decoder
    weights of their own.

    Args:
        config: widths, activation and all else.
        n_items: the number of items (of users, if item-based).
        generator: draws the Xavier-uniform start (Glorot & Bengio 2010: bound √(6/(fan_in + fan_out)));
            biases start at 0. None: torch's global one.

    `operand_type` is the precision of the matrix products' operands in training, if it isn't that of the
    weights; predictions are always computed in the precision of the weights. `collapse_from` is the number of
    users in a batch from which on re-feeds are computed collapsed, if it was measured (`refeed_cost.py`).
    `sparse_gradients` says whether the item matrices get gradients of only the rows that a batch touches.
    """

    sparse_gradients: bool = False
    operand_type: torch.dtype | None = None
    collapse_from: int | None = None
    bias_mean: Tensor
    bias_items: Tensor
    bias_user_damping: Tensor

    def __init__(
        self, config: AutoencoderConfig, n_items: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.axis: Literal["user", "item"] = config.axis
        self.folds_in = config.axis == "user"
        self.n_items = n_items
        self._activation = ACTIVATIONS[config.activation]
        encoder = config.encoder
        decoder = encoder[-2::-1] if config.decoder is None else config.decoder

        def weight(rows: int, columns: int) -> nn.Parameter:
            matrix = torch.empty(rows, columns)
            return nn.Parameter(nn.init.xavier_uniform_(matrix, generator=generator))

        def layers(widths: list[int]) -> nn.ParameterList:
            return nn.ParameterList([weight(after, before) for before, after in pairwise(widths)])

        def biases(widths: list[int]) -> nn.ParameterList:
            return nn.ParameterList([nn.Parameter(torch.zeros(width)) for width in widths])

        self.item_in = weight(n_items, encoder[0])
        self.encode_w = layers(encoder)
        self.encode_b = biases(encoder)
        if config.rated_channel:
            self.item_rated = weight(n_items, encoder[0])
        if not config.tied:
            self.decode_w = layers([encoder[-1], *decoder])
            self.item_out = weight(n_items, [encoder[-1], *decoder][-1])
        self.decode_b = biases([*decoder, n_items])
        if config.target == "residual":
            # In float64, as they are computed: they are the larger part of every prediction.
            self.register_buffer("bias_mean", torch.zeros((), dtype=torch.float64))
            self.register_buffer("bias_items", torch.zeros(n_items, dtype=torch.float64))
            self.register_buffer("bias_user_damping", torch.ones((), dtype=torch.float64))

    # ------------------------------------------------------------------ the network

    def forward(self, inputs: Batch, dropout: Dropout | None = None) -> Float[Tensor, "users width"]:
        """The last hidden layer; `output_at` and `output` make ratings of it."""
        return self.hidden(self.first_layer(inputs), dropout)

    def first_layer(self, batch: Batch) -> Float[Tensor, "users width"]:
        """V x + c, before the activation, from the sparse ratings x."""
        scale = self._input_scale(batch)
        inputs = batch.values if scale is None else batch.values * scale
        sums = encode(self.item_in, inputs, batch, sparse=self.sparse_gradients)
        if self.config.rated_channel:
            rated = torch.ones_like(batch.values) if scale is None else scale
            sums = sums + encode(self.item_rated, rated, batch, sparse=self.sparse_gradients)
        return torch.add(sums, self.encode_b[0])

    def first_layer_dense(self, sums: Float[Tensor, "users width"]) -> Float[Tensor, "users width"]:
        """The same from sums = x · item_in of a dense x, which counts as a rating of every item."""
        if self.config.rated_channel:
            sums = sums + self.item_rated.sum(dim=0)
        if self.config.input_scale == "sqrt":
            sums = sums / self.n_items**0.5
        return torch.add(sums, self.encode_b[0])

    def hidden(
        self, first: Float[Tensor, "users width"], dropout: Dropout | None = None
    ) -> Float[Tensor, "users width_out"]:
        """The last hidden layer, from the first one's pre-activation; dropout on the code (section 3.5)."""
        everywhere = self.config.dropout_everywhere

        def layer(before: Tensor, *, drop: bool) -> Tensor:
            units = self._activation(before)
            return dropout(units) if dropout is not None and drop else units

        depth = len(self.encode_w)  # of the encoder's layers after the first
        units = layer(first, drop=everywhere or depth == 0)
        for number, (weight, bias) in enumerate(self.layers_after_the_first(), start=1):
            before = product(units, weight.t(), self.operands) + bias
            units = layer(before, drop=everywhere or number == depth)
        return units

    def layers_after_the_first(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The weights (out, in) and biases of the hidden layers, the first and the output left out."""
        yield from zip(self.encode_w, self.encode_b[1:], strict=True)
        yield from zip(self._decoder_weights(), self.decode_b[:-1], strict=True)

    def output_at(self, hidden: Float[Tensor, "users width"], batch: Batch) -> Float[Tensor, " pairs"]:
        """The outputs at the pairs of a batch."""
        products = decode_at(hidden, self.item_out_weight, batch, sparse=self.sparse_gradients)
        return self.output_activation(products + value_at(self.decode_b[-1], batch))

    def output(self, hidden: Float[Tensor, "users width"]) -> Float[Tensor, "users items"]:
        """The outputs at all items."""
        return self.output_activation(torch.addmm(self.decode_b[-1], hidden, self.item_out_weight.t()))

    def output_activation(self, outputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The output layer's activation, if it has one."""
        return self._activation(outputs) if self.config.output_activation else outputs

    @property
    def operands(self) -> torch.dtype | None:
        """The precision of the operands of matrix products; None: that of the weights."""
        return self.operand_type if self.training else None

    @property
    def item_matrices(self) -> list[nn.Parameter]:
        """The matrices with a row an item."""
        rated = [self.item_rated] if self.config.rated_channel else []
        return [self.item_in, *rated, *([] if self.config.tied else [self.item_out])]

    @property
    def item_out_weight(self) -> Tensor:
        """The last decoder layer's matrix, (items, width): its own, or the encoder's if tied."""
        return self.item_in if self.config.tied else self.item_out

    @property
    def linear_output(self) -> bool:
        """Whether the output layer has no activation."""
        return not self.config.output_activation or self.config.activation == "none"

    def _decoder_weights(self) -> Iterator[Tensor]:
        if self.config.tied:
            return (weight.t() for weight in reversed(list(self.encode_w)))
        return iter(self.decode_w)

    def _input_scale(self, batch: Batch) -> Float[Tensor, " pairs"] | None:
        if self.config.input_scale == "none":
            return None
        roots: Tensor = batch.counts.to(batch.values.dtype).clamp(min=1).rsqrt()
        return roots[batch.users]

    # ------------------------------------------------------------------ ratings in, ratings out

    def fit_biases(self, train: Ratings, valid: Ratings | None) -> None:
        """Fit the damped biases that a residual model stands on, or start the outputs at the mean."""
        if self.config.output_start == "mean":
            nn.init.constant_(self.decode_b[-1], train.mean)
        if self.config.target != "residual":
            return
        damping = self.config.bias_damping
        user_damping, item_damping = damping or (pick_damping(train, valid) if valid else DEFAULT_DAMPING)
        if self.axis == "item":
            train, user_damping, item_damping = train.transpose(), item_damping, user_damping
        biases = Biases.fit(train, user_damping=user_damping, item_damping=item_damping)
        self.bias_mean.fill_(biases.mean)
        self.bias_items.copy_(torch.from_numpy(biases.items))
        self.bias_user_damping.fill_(biases.user_damping)

    def rows(self, histories: Ratings) -> Ratings:
        """The ratings with the model's rows as users: as they are, or transposed for an item-based model."""
        return histories if self.axis == "user" else histories.transpose()

    def batch(self, rows: Ratings, users: Int64[np.ndarray, " users"]) -> tuple[Batch, Offsets]:
        """The histories of some users as the network's input, and the levels that were taken off them."""
        indptr, items, values = rows.rows(users)
        levels = self.levels(indptr, items, values)
        owners = np.repeat(np.arange(len(users)), np.diff(indptr))
        return self.pairs(indptr, items, values - levels.at(owners, items)), levels

    def pairs(
        self,
        indptr: Int64[np.ndarray, " bounds"],
        items: NDArray[np.integer],
        values: NDArray[np.floating],
    ) -> Batch:
        """Arrays by user as a batch, on the device and in the precision of the weights."""
        like = self.item_in
        return Batch.from_numpy(
            indptr, items, values, n_items=self.n_items, device=like.device, dtype=like.dtype
        )

    def levels(
        self,
        indptr: Int64[np.ndarray, " bounds"],
        items: Int32[np.ndarray, " ratings"],
        values: Float32[np.ndarray, " ratings"],
    ) -> Offsets:
        """What to take off the ratings of users with these histories."""
        if self.config.target == "rating":
            return NoOffsets()
        biases = Biases(float(self.bias_mean), self.bias_items.cpu().numpy(), float(self.bias_user_damping))
        return BiasOffsets(biases, biases.of_users(indptr, items, values))

    @torch.no_grad()
    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The predicted rating of each pair (see `Model`); costs what the histories and the pairs cost."""
        columns = items
        if self.axis == "item":
            users, columns = items, users
        rows = self.rows(histories)
        # Sorted by row, and a pair that is asked for twice computed once.
        keys = users * self.n_items + columns
        place: slice | Int64[np.ndarray, " pairs"] = slice(None)
        if not (np.diff(keys) > 0).all():
            keys, place = np.unique(keys, return_inverse=True)
        owners, wanted = np.divmod(keys, self.n_items)
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        each, starts = owners[starts], np.append(starts, len(keys))
        predicted = np.empty(len(keys))
        for first in range(0, len(each), ROWS_AT_ONCE):
            some = each[first : first + ROWS_AT_ONCE]
            indptr = starts[first : first + len(some) + 1]
            pairs = slice(indptr[0], indptr[-1])
            predicted[pairs] = self._predict_rows(rows, some, indptr - indptr[0], wanted[pairs])
        return predicted[place]

    def _predict_rows(
        self,
        rows: Ratings,
        users: Int64[np.ndarray, " users"],
        indptr: Int64[np.ndarray, " bounds"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        batch, levels = self.batch(rows, users)
        wanted = self.pairs(indptr, items, np.zeros(len(items)))
        outputs = self.output_at(self.hidden(self.first_layer(batch)), wanted)
        owners = np.repeat(np.arange(len(users)), np.diff(indptr))
        predicted: Float64[np.ndarray, " pairs"] = outputs.cpu().double().numpy() + levels.at(owners, items)
        return predicted

    @torch.no_grad()
    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The predicted ratings of all items by each of the users (see `Model`)."""
        predicted = np.empty((len(users), histories.n_items), dtype=np.float32)
        for at, block in enumerate(self.predict_blocks(histories, users, ROWS_AT_ONCE)):
            predicted[at * ROWS_AT_ONCE : at * ROWS_AT_ONCE + len(block)] = block.cpu().numpy()
        return predicted

    def predict_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `predict_all`, `size` users at a time (see `InBlocks`)."""
        block = self._by_columns(histories) if self.axis == "item" else self._by_rows(histories)
        return (block(users[first : first + size]).float() for first in range(0, len(users), size))

    def _by_rows(self, histories: Ratings) -> _Block:
        @torch.no_grad()
        def block(users: Int64[np.ndarray, " users"]) -> Tensor:
            batch, levels = self.batch(histories, users)
            outputs = self.output(self.hidden(self.first_layer(batch)))
            return _raised(outputs, levels.parts())

        return block

    @torch.no_grad()
    def _by_columns(self, histories: Ratings) -> _Block:
        """Of an item-based model: the items' last hidden layers once, then some columns (users) at a time."""
        rows = self.rows(histories)
        hidden, parts = [], []
        for first in range(0, rows.n_users, ROWS_AT_ONCE):
            batch, levels = self.batch(rows, np.arange(first, min(first + ROWS_AT_ONCE, rows.n_users)))
            hidden.append(self.hidden(self.first_layer(batch)))
            parts += [part for part in [levels.parts()] if part is not None]
        codes = torch.cat(hidden).t()
        of_items = np.concatenate([of_rows for of_rows, _ in parts]) if parts else None

        @torch.no_grad()
        def block(users: Int64[np.ndarray, " users"]) -> Tensor:
            some = torch.from_numpy(users).to(codes.device)
            products = torch.addmm(self.decode_b[-1][some, None], self.item_out_weight[some], codes)
            outputs = self.output_activation(products)
            return _raised(outputs, None if of_items is None else (parts[0][1][users], of_items))

        return block

    def item_vectors(self) -> Float32[np.ndarray, "items width"] | None:
        """The decoder's row of each item; an item-based model, whose rows are users, has none."""
        if self.axis == "item":
            return None
        vectors: Float32[np.ndarray, "items width"] = self.item_out_weight.detach().cpu().float().numpy()
        return vectors


def _raised(outputs: Float[Tensor, "users items"], parts: _Parts) -> Float[Tensor, "users items"]:
    """The outputs, changed in place, plus what was taken off the users' and the items' ratings."""
    if parts is not None:
        of_users, of_items = (torch.from_numpy(part).to(outputs) for part in parts)
        outputs.add_(of_items).add_(of_users[:, None])
    return outputs
