"""Seeds out of seeds."""

import numpy as np

__all__ = ["mixed"]


def mixed(seed: int, *others: int) -> int:
    """One seed out of several numbers, with nothing in common between neighbours."""
    return int(np.random.SeedSequence([seed, *others]).generate_state(1, np.uint64)[0] >> 1)
