"""Seeds out of seeds."""

import numpy as np

__all__ = ["mixed", "seed_of_member"]


def mixed(seed: int, *others: int) -> int:
    """One seed out of several numbers, with nothing in common between neighbours."""
    return int(np.random.SeedSequence([seed, *others]).generate_state(1, np.uint64)[0] >> 1)


def seed_of_member(seed: int, member: int) -> int:
    """The seed of a model's network: of the first its own, of the others one drawn from it.

    Args:
        seed: of the training.
        member: of the network, from 0.
    """
    return mixed(seed, member, 0) if member else seed
