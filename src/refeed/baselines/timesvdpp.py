"""timeSVD++: SVD++ whose users and items change with time (Koren 2010, section 4)."""

from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor, nn

from refeed.baselines.clock import Clock, times_of
from refeed.baselines.epochs import best_epoch
from refeed.baselines.scale import Scale
from refeed.baselines.sgd import Group, Pairs, Parameters, train_epochs
from refeed.baselines.svdpp import own_factors, svdpp_groups
from refeed.config.baselines import TimeSvdppConfig
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["TimeSvdppModel", "timesvdpp_ratings"]

_PAIRS_AT_ONCE = 1 << 16  # bounds what the gathered factors take


def timesvdpp_ratings(
    at: Parameters, own: Float[Tensor, "users rank"], pairs: Pairs
) -> Float[Tensor, " pairs"]:
    """The prediction less μ.

        b_u + α_u dev + b_u,t + (b_i + b_i,Bin(t))(c_u + c_u,t)
            + ⟨q_i, p_u + |R(u)|^-½ Σ y_j + α_uk dev + p_uk,t⟩

    `user_scale` holds c_u − 1, so that all decays go towards 0. The last row of what is of days is 0: that of
    days unseen in training, to which −1 points.

    Args:
        at: the parameters, with the names of `TimeSvdppConfig`.
        own: p_u + |R(u)|^-½ Σ y_j of the users.
        pairs: "user", "item", "day", "bin" (item × bins + bin) and "dev" of each.
    """
    u, i, day, dev = pairs["user"], pairs["item"], pairs["day"], pairs["dev"]
    of_user = at["user_bias"][u] + at["user_drift"][u] * dev + at["user_days"][day]
    scale = 1 + at["user_scale"][u] + at["scale_days"][day]
    of_item = (at["item_bias"][i] + at["item_bins"][pairs["bin"]]) * scale
    taste = own.index_select(0, u) + dev[:, None] * at["factor_drift"].index_select(0, u)
    if "day_factors" in at:
        taste = taste + at["day_factors"][day]
    return of_user + of_item + (taste * at["items"].index_select(0, i)).sum(dim=1)


class TimeSvdppModel(nn.Module):
    """A `Model` of factors that change with time; without a time it predicts for the latest training time.

    In the future, days are unseen (no term of theirs), the item's bin is the last one, and dev_u is capped at
    the largest of the user's training.

    Args:
        config: rates, decays and sizes.
        n_users: the number of users.
        n_items: the number of items.
        seed: of the start and the order of the ratings.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = False
    mean: Tensor
    span: Tensor  # first and last training second
    means: Tensor
    caps: Tensor
    keys: Tensor
    users: Tensor
    items: Tensor

    def __init__(self, config: TimeSvdppConfig, n_users: int, n_items: int, seed: int) -> None:
        super().__init__()
        self.config = config
        self._seed = seed
        shapes = {
            "user_bias": (n_users,),
            "user_drift": (n_users,),
            "user_scale": (n_users,),
            "users": (n_users, config.rank),
            "factor_drift": (n_users, config.rank),
            "item_bias": (n_items,),
            "item_bins": (n_items * config.bins,),
            "items": (n_items, config.rank),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))
        for name, rows in {"mean": (), "means": (n_users,), "caps": (n_users,)}.items():
            self.register_buffer(name, torch.zeros(rows, dtype=torch.float64))
        self.register_buffer("span", torch.zeros(2, dtype=torch.int64))
        # Of every user and day: how many there are follows from the ratings.
        self.register_buffer("keys", torch.zeros(0, dtype=torch.int64))
        for name in self._of_days():
            self.register_buffer(name, torch.zeros(1, *self._width(name)))
        self.register_load_state_dict_pre_hook(_resized)  # type: ignore[no-untyped-call]

    def fit(self, train: Ratings, valid: Ratings | None = None) -> None:
        """Fit to ratings with times; keep the best epoch on the validation ratings, if there are any.

        Raises:
            DataError: the ratings have no times.
            TrainingDivergedError: the error became NaN or infinite.
        """
        clock = Clock.of(train, times_of(train, "timesvdpp"), self.config.bins)
        self.keys = torch.from_numpy(clock.keys)
        self.span.copy_(torch.tensor([clock.start, clock.end]))
        self.means.copy_(torch.from_numpy(clock.means))
        self.caps.copy_(torch.from_numpy(clock.caps))
        scale = Scale.of(train)
        mapped = scale.mapped(train)
        at = self._trained(mapped, None if valid is None else scale.mapped(valid), clock)
        self.mean.fill_(scale.back(mapped.mean))
        at["users"], _ = own_factors(at, mapped), at.pop("implicit")
        for name, part in at.items():
            # What multiplies another parameter stays as it is.
            setattr(self, name, part if name in ("items", "user_scale", "scale_days") else part * scale.unit)

    def _trained(self, train: Ratings, valid: Ratings | None, clock: Clock) -> Parameters:
        generator = torch.Generator().manual_seed(self._seed)
        groups = {**svdpp_groups(self.config, train, generator), **self._groups()}

        def locate(users: Any, items: Any, times: Any) -> Pairs:
            return self._located(clock, users, items, clock.end if times is None else times)

        def predict(state: Parameters, pairs: Aligned) -> Float64[np.ndarray, " pairs"]:
            located = locate(pairs.users, pairs.items, pairs.times)
            above = timesvdpp_ratings(state, own_factors(state, train), located)
            result: Float64[np.ndarray, " pairs"] = train.mean + above.double().numpy()
            return result

        owned = {"day": clock.day_bounds(train.n_users)}
        epochs = train_epochs(self.config, groups, train, locate, timesvdpp_ratings, generator, owned)
        return best_epoch(epochs, predict, train, valid)

    def _groups(self) -> dict[str, Group]:
        kinds = {"user_drift": "user", "user_scale": "user", "factor_drift": "user", "item_bins": "bin"}
        groups = {
            name: Group(getattr(self, name), kind, *getattr(self.config, name))
            for name, kind in kinds.items()
        }
        for name in self._of_days():
            start = torch.zeros(len(self.keys) + 1, *self._width(name))
            groups[name] = Group(start, "day", *getattr(self.config, name))
        return groups

    def _of_days(self) -> list[str]:
        return ["user_days", "scale_days"] + ["day_factors"] * bool(self.config.day_factors[0])

    def _width(self, name: str) -> list[int]:
        return [self.config.rank] if name == "day_factors" else []

    def _located(
        self,
        clock: Clock,
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
        times: Int64[np.ndarray, " pairs"] | int,
    ) -> Pairs:
        when = np.broadcast_to(np.asarray(times, dtype=np.int64), users.shape)
        located = {
            "user": users,
            "item": items,
            "day": clock.day_rows(users, when),
            "bin": items * self.config.bins + clock.bin(when),
            "dev": clock.dev(users, when).astype(np.float32),
        }
        return {name: torch.from_numpy(part) for name, part in located.items()}

    def _clock(self) -> Clock:
        start, end = self.span.tolist()
        return Clock(start, end, self.config.bins, self.means.numpy(), self.caps.numpy(), self.keys.numpy())

    def _predicted(
        self, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"], times: Any
    ) -> Float64[np.ndarray, " pairs"]:
        clock, at = self._clock(), dict(self.named_buffers())
        predicted = np.empty(len(users))
        for first in range(0, len(users), _PAIRS_AT_ONCE):
            some = slice(first, first + _PAIRS_AT_ONCE)
            when = clock.end if times is None else times[some]
            located = self._located(clock, users[some], items[some], when)
            predicted[some] = timesvdpp_ratings(at, at["users"], located).double().numpy() + float(self.mean)
        return predicted

    def predict_at(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
        times: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """The rating of each pair at its time (see `InTime`)."""
        return self._predicted(users, items, times)

    def predict(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """The rating of each pair at the latest training time (see `Model`)."""
        return self._predicted(users, items, None)

    def predict_all(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " users"],
    ) -> Float32[np.ndarray, "users items"]:
        """The ratings of all items by each of the users at the latest training time (see `Model`)."""
        clock, at = self._clock(), dict(self.named_buffers())
        when = np.full(len(users), clock.end)
        u, day = torch.from_numpy(users), torch.from_numpy(clock.day_rows(users, when))
        dev = torch.from_numpy(clock.dev(users, when).astype(np.float32))
        of_users = at["user_bias"][u] + at["user_drift"][u] * dev + at["user_days"][day]
        scale = 1 + at["user_scale"][u] + at["scale_days"][day]
        of_items = at["item_bias"] + at["item_bins"].view(-1, self.config.bins)[:, -1]
        taste = at["users"][u] + dev[:, None] * at["factor_drift"][u]
        if "day_factors" in at:
            taste = taste + at["day_factors"][day]
        ratings = torch.addmm(scale[:, None] * of_items, taste, self.items.t())
        matrix: Float32[np.ndarray, "users items"] = ratings.add_(
            of_users[:, None] + float(self.mean)
        ).numpy()
        return matrix

    def item_vectors(self) -> Float32[np.ndarray, "items rank"]:
        """q_i of each item."""
        vectors: Float32[np.ndarray, "items rank"] = self.items.numpy()
        return vectors


def _resized(model: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Make room for as many (user, day) rows as the saved state has."""
    for name in ("keys", "user_days", "scale_days", "day_factors"):
        if prefix + name in state and hasattr(model, name):
            setattr(model, name, torch.zeros_like(state[prefix + name]))
