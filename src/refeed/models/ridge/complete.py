"""What is set in a trained ridge autoencoder: nothing is learned anew, and validation decides most of it."""

from refeed.models.calibrate import calibrate
from refeed.models.ridge.drift import carry_forward
from refeed.models.ridge.held_out import some_of
from refeed.models.ridge.item_noise import set_noise
from refeed.models.ridge.levels import hold_to_levels
from refeed.models.ridge.mixed_levels import MixedLevels
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.ridge.shift import shift_level
from refeed.models.ridge.temper import temper
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["complete"]


def complete(
    model: RidgeAutoencoder,
    train: Ratings,
    held_out: Aligned | None,
    levels: MixedLevels,
    *,
    seed: int = 0,
) -> str | None:
    """Temper codes, weigh ratings, carry drift forward, move the level, and calibrate the intervals.

    A model that is completed already, in a training that was stopped after that, stays as it is.

    Args:
        model: trained; is changed.
        train: the training ratings.
        held_out: the validation ratings.
        levels: that the training started from.
        seed: of all draws.

    Returns:
        What came out, for people.
    """
    if model.completed:
        return None
    some = None if held_out is None else some_of(held_out, seed)
    said = [
        temper(model, train, some, seed=seed),
        set_noise(model, train, some, seed=seed),
        hold_to_levels(model, train, some, levels, seed=seed),
        carry_forward(model, train, some, model.config, seed=seed),
        shift_level(model, train, held_out),
    ]
    calibrate(model, train, held_out, seed)
    model.completed.fill_(True)
    return "; ".join(line for line in said if line) or None
