"""The paper's deep autoencoder with a softmax over the items (Mult-DAE; Liang et al. 2018, arXiv 1802.05814).

Inputs are divided by the root of the history's length; the loss is −Σ_j x_j log softmax(f(x))_j. What an
interaction counts is as in all models of interactions (`inputs.py`). With n interactions in the history,

    score_j = popularity_j + min(n softmax(f(x))_j, 1)

so that scores are on the scale of a share of people.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.config.interactions import MultinomialConfig
from refeed.config.models import AutoencoderConfig
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.inputs import Inputs
from refeed.ratings.store import Ratings

__all__ = ["Multinomial"]

_ENTRIES_AT_ONCE = 1 << 23
_ORDERS = 8


class Multinomial(nn.Module):
    """An `InteractionModel`: a network of the kind that the paper has.

    Args:
        config: the widths.
        n_items: the number of items.
        inputs: from histories to x; a new one if None, as before `load_state_dict`.
        generator: draws the start.
    """

    popularity: Tensor

    def __init__(
        self,
        config: MultinomialConfig,
        n_items: int,
        inputs: Inputs | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_items = n_items
        self.inputs = Inputs() if inputs is None else inputs
        network = AutoencoderConfig(
            encoder=config.encoder, activation="tanh", output_activation=False, input_scale="sqrt"
        )
        self.network = Autoencoder(network, n_items, generator)
        self.register_buffer("popularity", torch.zeros(n_items))

    def logits(self, inputs: Batch) -> Float32[Tensor, "users items"]:
        """f(x)."""
        return self.network.output(self.network.hidden(self.network.first_layer(inputs)))

    @torch.no_grad()
    def _scores(self, inputs: Batch) -> Float32[Tensor, "users items"]:
        expected = self.logits(inputs).softmax(dim=1) * inputs.counts[:, None].clamp(min=1)
        return expected.clamp_(max=1).add_(self.popularity)

    def score_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The scores of all items, `size` users at a time (see `InteractionModel`)."""
        for first in range(0, len(users), size):
            some = users[first : first + size]
            yield self._scores(self.inputs.batch(histories, some, self.popularity.device))

    def score_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The scores of all items for each of the users (see `InteractionModel`)."""
        scores = np.empty((len(users), self.n_items), dtype=np.float32)
        size = self._at_once()
        for at, block in enumerate(self.score_blocks(histories, users, size)):
            scores[at * size : at * size + len(block)] = block.cpu().numpy()
        return scores

    def score(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The score of each pair (see `InteractionModel`); costs a pass over all items for each user."""
        each, owners = np.unique(users, return_inverse=True)
        scores, size = np.empty(len(users)), self._at_once()
        for at, block in enumerate(self.score_blocks(histories, each, size)):
            pairs = np.flatnonzero(owners // size == at)
            rows = torch.from_numpy(owners[pairs] - at * size)
            scores[pairs] = block.cpu()[rows, torch.from_numpy(items[pairs])].double().numpy()
        return scores

    def _at_once(self) -> int:
        return max(1, min(1024, _ENTRIES_AT_ONCE // max(self.n_items, 1)))

    def explain(
        self, histories: Ratings, user: int, item: int
    ) -> tuple[float, Float64[np.ndarray, " interactions"]]:
        """The score without a history, and what each of the user's items adds to it.

        A network's score is no sum of parts; these are Shapley values (Shapley 1953), the mean of what an
        item adds as the history grows to it in some random orders (the same ones every time). What is added
        from nothing to the whole history is the score, in every order.
        """
        whole = self.inputs.batch(histories, np.array([user]), self.popularity.device)
        n = len(whole.items)
        rng = np.random.default_rng(0)
        parts = np.zeros(n)
        base = float(self._at(whole, [np.arange(0)], item)[0])
        for _ in range(_ORDERS if n else 0):
            order = rng.permutation(n)
            grown = self._at(whole, [order[:length] for length in range(n + 1)], item)
            parts[order] += np.diff(grown) / _ORDERS
        return base, parts

    def _at(self, whole: Batch, some: list[Int64[np.ndarray, "_"]], item: int) -> Float64[np.ndarray, " _"]:
        """The item's score from each of some parts of a history."""
        scores, size = [], self._at_once()
        for first in range(0, len(some), size):
            chosen = [torch.from_numpy(np.sort(part)) for part in some[first : first + size]]
            places = torch.cat(chosen)
            bounds = torch.tensor([0, *np.cumsum([len(part) for part in chosen])], dtype=torch.int32)
            inputs = Batch(bounds, whole.items[places], whole.values[places], whole.n_items)
            scores.append(self._scores(inputs)[:, item].double().numpy())
        return np.concatenate(scores)
