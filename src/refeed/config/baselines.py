"""Settings of the systems that the paper compares with, a class a kind.

Rates and decays are meant for ratings from 1 to 5; ratings on other scales are mapped to that and back.
"""

from typing import Annotated, Literal

from pydantic import Field

from refeed.config.strict import Damping, Strict

__all__ = [
    "CornacMFConfig",
    "LenskitMFConfig",
    "MyFMConfig",
    "PmfConfig",
    "RrnConfig",
    "SurpriseConfig",
    "SvdppConfig",
    "TimeSvdppConfig",
]

_Count = Annotated[int, Field(ge=1)]
_Rate = Annotated[float, Field(gt=0)]
_Strength = Annotated[float, Field(ge=0)]
_RateAndDecay = Annotated[list[_Strength], Field(min_length=2, max_length=2)]


class PmfConfig(Strict):
    """Probabilistic matrix factorisation (Salakhutdinov & Mnih 2008), and with biases what is called MF.

    Args:
        rank: length of the users' and the items' factors.
        biases: add b_u + b_i to μ + ⟨p_u, q_i⟩.
        decay: λ, for each rating: Σ (e² + λ(‖p_u‖² + ‖q_i‖² + b_u² + b_i²)), as in the published software.
        lr: learning rate a rating: the gradients of a batch are summed.
        momentum: of SGD.
        epochs: passes over the ratings; with validation ratings the best one is kept.
        start: standard deviation of the factors at the start.
    """

    kind: Literal["pmf"] = "pmf"
    rank: _Count = 64
    biases: bool = False
    decay: _Strength = 0.1
    lr: _Rate = 0.002
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    epochs: _Count = 60
    start: _Rate = 0.1


class SvdppConfig(Strict):
    """SVD++ (Koren 2008): what a user has rated speaks for itself, whatever the ratings.

    Every [rate, decay] is the learning rate and the λ of a group of parameters, for each rating.

    Args:
        rank: length of the factors.
        epochs: passes over the ratings; with validation ratings the best one is kept.
        cooling: what all rates are multiplied with after an epoch.
        start: standard deviation of the factors at the start.
        user_bias: [rate, decay] of b_u.
        item_bias: of b_i.
        factors: of p_u and q_i.
        implicit: of y_j.
    """

    kind: Literal["svdpp"] = "svdpp"
    rank: _Count = 50
    epochs: _Count = 40
    cooling: Annotated[float, Field(gt=0, le=1)] = 0.95
    start: _Rate = 0.03
    user_bias: _RateAndDecay = [0.02, 0.05]
    item_bias: _RateAndDecay = [0.02, 0.05]
    factors: _RateAndDecay = [0.02, 0.08]
    implicit: _RateAndDecay = [0.003, 0.003]


class TimeSvdppConfig(SvdppConfig):
    """timeSVD++ (Koren 2010): SVD++ whose users and items change with time; needs the times of the ratings.

    Args:
        bins: stretches of the training time, of one length, with an item bias each.
        user_drift: [rate, decay] of α_u, times dev_u(t) = sign(t − t̄_u)|t − t̄_u|^0.4 in days.
        item_bins: of b_i,Bin(t).
        user_days: of b_u,t, for every user and day.
        user_scale: of c_u, which multiplies the items' biases, towards 1.
        scale_days: of c_u,t, for every user and day.
        factor_drift: of α_uk, the drift of p_u.
        day_factors: of p_uk,t, for every user and day; with rate 0 there are none, which saves their memory.
    """

    kind: Literal["timesvdpp"] = "timesvdpp"  # type: ignore[assignment]  # another kind
    bins: _Count = 30
    user_drift: _RateAndDecay = [1e-5, 50.0]
    item_bins: _RateAndDecay = [5e-6, 0.1]
    user_days: _RateAndDecay = [0.0025, 0.005]
    user_scale: _RateAndDecay = [0.008, 0.01]
    scale_days: _RateAndDecay = [0.002, 0.005]
    factor_drift: _RateAndDecay = [1e-5, 50.0]
    day_factors: _RateAndDecay = [0.0, 0.0]


class RrnConfig(Strict):
    """Recurrent recommender network (Wu et al. 2017); needs the times of the ratings.

    Args:
        step_days: length of a time step.
        width: of the embedded input.
        hidden: units of each LSTM, and of the dynamic factors.
        rank: length of the stationary factors, which start from matrix factorisation.
        dropout: probability of dropping a unit of an LSTM's output.
        lr: of Adam.
        l2: weight decay.
        clip: the most that a gradient's entry counts.
        batch: users (items) a batch.
        epochs: rounds of users, then items; with validation ratings the best one is kept.
    """

    kind: Literal["rrn"] = "rrn"
    step_days: _Rate = 7.0
    width: _Count = 40
    hidden: _Count = 40
    rank: _Count = 160
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    lr: _Rate = 0.0015
    l2: _Strength = 0.001
    clip: _Rate = 15.0
    batch: _Count = 256
    epochs: _Count = 20


class SurpriseConfig(Strict):
    """Surprise's SVD or SVD++, one rating at a time; needs the extra `peers`.

    Args:
        algorithm: "svd", biased matrix factorisation, or "svdpp".
        rank: length of the factors.
        epochs: passes over the ratings.
        lr: learning rate.
        decay: λ, for each rating.
    """

    kind: Literal["surprise"] = "surprise"
    algorithm: Literal["svd", "svdpp"] = "svd"
    rank: _Count = 50
    epochs: _Count = 40
    lr: _Rate = 0.007
    decay: _Strength = 0.07


class CornacMFConfig(Strict):
    """Cornac's MF: biased matrix factorisation, one rating at a time; needs the extra `peers`.

    Args:
        rank: length of the factors.
        epochs: passes over the ratings.
        lr: learning rate.
        decay: λ, for each rating.
    """

    kind: Literal["cornac-mf"] = "cornac-mf"
    rank: _Count = 100
    epochs: _Count = 50
    lr: _Rate = 0.007
    decay: _Strength = 0.06


class LenskitMFConfig(Strict):
    """LensKit's biased matrix factorisation by alternating least squares; needs the extra `peers`.

    Args:
        rank: length of the factors.
        epochs: rounds of all users, then all items.
        decay: λ, for each rating, of the factors; with none the least squares need not have one solution.
        damping: [user, item], added to the counts in the damped biases, which stay as they are.
    """

    kind: Literal["lenskit-mf"] = "lenskit-mf"
    rank: _Count = 100
    epochs: _Count = 10
    decay: _Rate = 0.13
    damping: Damping = [5.0, 2.0]


class MyFMConfig(Strict):
    """Bayesian SVD++ "flipped" (Rendle et al. 2019) by myFM's Gibbs sampler; needs the extra `peers`.

    Args:
        rank: of the factorisation machine; "auto": 10 below 300,000 ratings, 32 below 3 million, 64 above.
        iterations: of the Gibbs sampler.
        burn_in: the first so many samples are left out of the mean.
        width: of the factors in which the mean of all samples' predictions is kept: the best approximation of
            that rank.
    """

    kind: Literal["myfm"] = "myfm"
    rank: _Count | Literal["auto"] = "auto"
    iterations: Annotated[int, Field(ge=2)] = 512
    burn_in: Annotated[int, Field(ge=0)] = 5
    width: _Count = 256
