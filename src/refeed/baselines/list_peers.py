"""List models of other libraries (extra `peers`): iALS and BPR of implicit, Mult-VAE and RecVAE of Cornac.

All of them learn from who took up what; the ratings themselves don't count. They know their training users
only.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from refeed.baselines.cornac import dataset
from refeed.baselines.peers import peer
from refeed.ratings.store import Ratings

__all__ = ["CornacLists", "FactorLists", "fit_bpr", "fit_ials", "fit_mult_vae", "fit_rec_vae"]


@dataclass(frozen=True, eq=False)
class FactorLists:
    """Scores that are products of factors.

    Args:
        users: of the training users.
        items: of the items.
    """

    users: Float32[np.ndarray, "users width"]
    items: Float32[np.ndarray, "items width"]

    def scores(
        self,
        histories: Ratings,  # noqa: ARG002 - the users' factors are all that is known of them
        users: Int64[np.ndarray, " users"],
    ) -> Float32[Tensor, "users items"]:
        """Of training users, by their positions in the training ratings."""
        return torch.from_numpy(self.users[users] @ self.items.T)


@dataclass(frozen=True, eq=False)
class CornacLists:
    """A trained model of Cornac.

    Args:
        model: it scores one user at a time.
    """

    model: Any

    def scores(
        self,
        histories: Ratings,  # noqa: ARG002 - Cornac keeps the training ratings
        users: Int64[np.ndarray, " users"],
    ) -> Float32[Tensor, "users items"]:
        """Of training users, by their positions in the training ratings."""
        rows = [np.asarray(self.model.score(user), dtype=np.float32) for user in users.tolist()]
        return torch.from_numpy(np.stack(rows))


def fit_ials(
    train: Ratings,
    *,
    factors: int = 128,
    decay: float = 0.01,
    weight: float = 1.0,
    epochs: int = 15,
    seed: int = 0,
) -> FactorLists:
    """Alternating least squares with every unseen pair a weak zero (Hu, Koren & Volinsky 2008), by implicit.

    Args:
        train: who took up what.
        factors: their width.
        decay: L2 on the factors.
        weight: of a pair that is there, where one that isn't weighs 1.
        epochs: rounds of both sides.
        seed: of the start.

    Raises:
        ConfigError: implicit is not installed.
    """
    model = peer("implicit.cpu.als", "iALS").AlternatingLeastSquares(
        factors=factors,
        regularization=decay,
        alpha=weight,
        iterations=epochs,
        random_state=seed,
        num_threads=1,
    )
    return _fitted(model, train)


def fit_bpr(
    train: Ratings,
    *,
    factors: int = 128,
    decay: float = 0.01,
    lr: float = 0.05,
    epochs: int = 100,
    seed: int = 0,
) -> FactorLists:
    """Bayesian personalised ranking (Rendle et al. 2009), by implicit.

    Args:
        train: who took up what.
        factors: their width.
        decay: L2 on the factors.
        lr: of SGD.
        epochs: as many draws each as there are pairs.
        seed: of the start; the draws of one thread follow from it.

    Raises:
        ConfigError: implicit is not installed.
    """
    model = peer("implicit.cpu.bpr", "BPR").BayesianPersonalizedRanking(
        factors=factors,
        regularization=decay,
        learning_rate=lr,
        iterations=epochs,
        random_state=seed,
        num_threads=1,
    )
    return _fitted(model, train)


def fit_mult_vae(
    train: Ratings, *, beta: float = 0.2, epochs: int = 100, batch: int = 500, lr: float = 1e-3, seed: int = 0
) -> CornacLists:
    """Mult-VAE with one hidden layer of 600 and a code of 200 (Liang et al. 2018), by Cornac.

    Args:
        train: who took up what.
        beta: weight of the KL term.
        epochs: passes over the users.
        batch: users.
        lr: of Adam.
        seed: of the start and the draws.

    Raises:
        ConfigError: Cornac is not installed.
    """
    model = peer("cornac.models", "Mult-VAE").VAECF(
        k=200,
        autoencoder_structure=[600],
        act_fn="tanh",
        likelihood="mult",
        n_epochs=epochs,
        batch_size=batch,
        learning_rate=lr,
        beta=beta,
        seed=seed,
    )
    return CornacLists(model.fit(dataset(_ones(train))))


def fit_rec_vae(
    train: Ratings,
    *,
    gamma: float = 0.005,
    epochs: int = 50,
    batch: int = 500,
    lr: float = 5e-4,
    seed: int = 0,
) -> CornacLists:
    """RecVAE (Shenbin et al. 2020), by Cornac, which evaluates on the training set after every epoch.

    Args:
        train: who took up what.
        gamma: weight of the KL term for each rating of a user.
        epochs: rounds of three passes for the encoder and one for the decoder.
        batch: users.
        lr: of Adam.
        seed: of the start and the draws.

    Raises:
        ConfigError: Cornac is not installed.
    """
    model = peer("cornac.models", "RecVAE").RecVAE(
        gamma=gamma, n_epochs=epochs, batch_size=batch, lr=lr, seed=seed, use_gpu=False
    )
    return CornacLists(model.fit(dataset(_ones(train))))


def _fitted(model: Any, train: Ratings) -> FactorLists:
    ones = np.ones(len(train), dtype=np.float32)
    matrix = peer("scipy.sparse", "implicit").csr_matrix(
        (ones, train.items.astype(np.int32), train.indptr.astype(np.int32)),
        shape=(train.n_users, train.n_items),
    )
    model.fit(matrix, show_progress=False)
    return FactorLists(np.asarray(model.user_factors), np.asarray(model.item_factors))


def _ones(train: Ratings) -> Ratings:
    return replace(train, values=np.ones(len(train), dtype=np.float32))
