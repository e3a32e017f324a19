"""One side of a recurrent recommender network: an LSTM over every user's, or every item's, own history.

    y_t = W [x_s, newbie, τ_t, τ_s],  h_t = LSTM(h_s, y_t)               (Wu et al. 2017, section 3)

x_s are the ratings of the last time step s before t that has any, τ the clock. So a prediction for t sees
nothing of t but the clock, in training as later.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from refeed.baselines.ranges import ranges
from refeed.baselines.steps import Steps
from refeed.config.baselines import RrnConfig
from refeed.models.autoencoder.sparse import encode

__all__ = ["Side"]

_ROWS_AT_ONCE = 4096  # where there is no gradient


class Side(nn.Module):
    """The users, or the items: their stationary factors and the LSTM over their histories."""

    def __init__(self, config: RrnConfig, rows: int, columns: int, generator: torch.Generator) -> None:
        super().__init__()

        def drawn(*shape: int, bound: float) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))

        self.embed = drawn(columns, config.width, bound=math.sqrt(3 / config.width))
        self.clock = drawn(3, config.width, bound=math.sqrt(3 / config.width))
        self.cell = nn.LSTMCell(config.width, config.hidden)
        self.project = nn.Linear(config.hidden, config.hidden)
        for parameter in [*self.cell.parameters(), *self.project.parameters()]:
            nn.init.uniform_(parameter, -(config.hidden**-0.5), config.hidden**-0.5, generator=generator)
        # The last column is the bias.
        self.stationary = nn.Embedding(
            rows, config.rank + 1, sparse=True, _weight=torch.zeros(rows, config.rank + 1)
        )

    def inputs(
        self,
        steps: Steps,
        before: Int64[np.ndarray, " queries"],
        numbers: Int64[np.ndarray, " queries"],
        unit: float,
    ) -> Float[Tensor, "queries width"]:
        """y_t of time steps `numbers`; `before` is the last entry before each, −1 if there is none."""
        contents = steps.contents(before)
        newbie = before < 0
        then = numbers.copy()
        then[~newbie] = steps.numbers[before[~newbie]]
        clock = torch.from_numpy(np.stack([newbie, numbers * unit, then * unit], axis=1).astype(np.float32))
        return encode(self.embed, contents.values, contents) + clock @ self.clock

    def states(
        self, steps: Steps, rows: Int64[np.ndarray, " rows"], unit: float
    ) -> tuple[Float[Tensor, "entries hidden"], Float[Tensor, "entries hidden"]]:
        """The states h and c at every entry of some rows, row by row."""
        entries, starts = ranges(steps.bounds, rows)
        first = np.zeros(len(entries), dtype=bool)
        first[starts[:-1][np.diff(starts) > 0]] = True
        inputs = self.inputs(steps, np.where(first, -1, entries - 1), steps.numbers[entries], unit)
        # The longest first, so that at any time those that go on are the first ones.
        longest = np.argsort(-np.diff(starts), kind="stable")
        lengths = np.diff(starts)[longest]
        h = c = inputs.new_zeros(len(rows), self.cell.hidden_size)
        hs, cs, places = [], [], [np.empty(0, dtype=np.int64)]
        for step in range(lengths.max(initial=0)):
            going = int(np.searchsorted(-lengths, -step))
            places.append(starts[longest[:going]] + step)
            h, c = self.cell(inputs[torch.from_numpy(places[-1])], (h[:going], c[:going]))
            hs.append(h)
            cs.append(c)
        back = torch.from_numpy(np.argsort(np.concatenate(places)))
        nothing = h[:0]
        return torch.cat([nothing, *hs])[back], torch.cat([nothing, *cs])[back]

    def dynamic(
        self,
        steps: Steps,
        rows: Int64[np.ndarray, " queries"],
        numbers: Int64[np.ndarray, " queries"],
        unit: float,
    ) -> Float[Tensor, "queries hidden"]:
        """W h_t + c of any rows at any time steps."""
        vectors = torch.empty(len(rows), self.project.out_features)
        order = np.argsort(rows, kind="stable")
        each, firsts = np.unique(rows[order], return_index=True)
        bounds = np.append(firsts, len(rows))
        for first in range(0, len(each), _ROWS_AT_ONCE):
            some = each[first : first + _ROWS_AT_ONCE]
            asked = order[bounds[first] : bounds[first + len(some)]]
            h, c = self.states(steps, some, unit)
            _, starts = ranges(steps.bounds, some)
            done = steps.before(rows[asked], numbers[asked])
            here = torch.from_numpy(starts[np.searchsorted(some, rows[asked])] + done - 1)
            new = torch.from_numpy(done == 0)
            h, c = (torch.cat([state, state.new_zeros(1, state.shape[1])]) for state in (h, c))
            here[new] = len(h) - 1
            before = np.where(done == 0, -1, steps.bounds[rows[asked]] + done - 1)
            h, _ = self.cell(self.inputs(steps, before, numbers[asked], unit), (h[here], c[here]))
            vectors[torch.from_numpy(asked)] = self.project(h)
        return vectors
