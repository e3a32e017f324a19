"""What all tests share: the folder of real data, where there is one, and models that no one had to train."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import jaxtyping
import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from refeed.config import Config
    from refeed.ratings.store import Ratings

# A busy machine is slow at times; what a test asserts is never a duration.
settings.register_profile("refeed", deadline=None)
settings.load_profile("refeed")


def checked(of: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """Check the types of a function's arguments and result; the shapes of tensors only where it names any.

    Jaxtyping's own decorator binds the arguments of every call of every function to its signature. That costs
    20 µs: as much as all else that a small function does. Where no shape is named there is nothing to bind.
    """
    if of is None:
        return partial(checked, typechecker=typechecker)
    if inspect.isclass(of):
        if dataclasses.is_dataclass(of):
            of.__init__ = checked(of.__init__, typechecker=typechecker)  # type: ignore[method-assign]
        return of
    try:
        shapes = "jaxtyping." in repr(get_type_hints(of))
    except (AttributeError, NameError, TypeError):  # a type that is not there yet, or never at run time
        shapes = True
    return with_shapes(of, typechecker=typechecker) if shapes else typechecker(of)


# What `--jaxtyping-packages` (pyproject.toml) writes above each function of refeed looks this name up.
with_shapes, jaxtyping.jaxtyped = jaxtyping.jaxtyped, checked  # type: ignore[assignment]

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the checkout; users don't have it, so such tests skip there."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder of real data beside the checkout")
    return SHARED


RATED_ITEMS = 6000  # so that a history of 5,000 is possible


def some_ratings(n_users: int = 60, n_items: int = RATED_ITEMS) -> "Ratings":
    """Ratings on a scale from 0.5 to 5, where each item has some."""
    from refeed.ratings.ids import Ids  # noqa: PLC0415 - heavy, and not for all tests
    from refeed.ratings.store import Ratings  # noqa: PLC0415

    rng = np.random.default_rng(7)
    users, items = np.divmod(rng.choice(n_users * n_items, 4 * n_items, replace=False), n_items)
    values = rng.integers(1, 11, len(users)) / 2
    values[:2] = 0.5, 5.0
    return Ratings.from_arrays(
        users,
        items,
        values,
        user_ids=Ids(f"u{user}" for user in range(n_users)),
        item_ids=Ids(f"i{item}" for item in range(n_items)),
        titles=[f"The Film №{item}" for item in range(n_items)],
    )


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> "Callable[[Config], Path]":
    """Makes a model folder whose weights are drawn, not learnt: large histories, no training."""

    def make(config: "Config") -> Path:
        import torch  # noqa: PLC0415

        from refeed.factory import build_model  # noqa: PLC0415
        from refeed.model_folder import binding, create_folder, save_weights  # noqa: PLC0415
        from refeed.models.ridge.model import RidgeAutoencoder  # noqa: PLC0415

        run, train = tmp_path_factory.mktemp("drawn") / "run", some_ratings()
        model = build_model(config, n_users=train.n_users, n_items=train.n_items)
        generator = torch.Generator().manual_seed(1)
        for ridge in (each for each in model.modules() if isinstance(each, RidgeAutoencoder)):
            ridge.knots, ridge.spacing = torch.zeros(4, dtype=torch.float64), torch.zeros(4)
        weights = model.state_dict()
        for name, tensor in weights.items():
            last = name.split(".")[-1]
            if last == "counts":
                tensor.copy_(torch.from_numpy(train.item_counts))
            elif last in ("rating_weights", "rating_noise"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif last == "knots":
                tensor.copy_(torch.linspace(1, 5, len(tensor)))
            elif last == "quantiles":
                tensor.copy_(torch.linspace(-2, 2, len(tensor)))
            elif last in ("scale", "doubt", "deviation", "user_damping", "bias_user_damping", "weight"):
                tensor.fill_({"deviation": 1.1, "doubt": 3.0}.get(last, 0.4))
            elif last in ("mean", "bias_mean"):
                tensor.fill_(3.5)
            else:
                large = 0.02 if last.startswith("item_") else 0.2
                tensor.copy_(large * torch.randn(tensor.shape, generator=generator))
        create_folder(run, config, train)
        bound_to = binding(run, config, train.n_users, train.scale)
        save_weights(run / "model.safetensors", weights, bound_to)
        return run

    return make


def random_histories(count: int, n_items: int = RATED_ITEMS) -> "list[dict[str, float]]":
    """Random people: one of whom nothing is known, ones with 1 and with 5,000 ratings, and others."""
    rng = np.random.default_rng(3)
    lengths = [0, 1, min(5000, n_items), *rng.integers(2, 120, count)][:count]
    return [
        {f"i{item}": float(rng.integers(1, 11)) / 2 for item in rng.choice(n_items, length, replace=False)}
        for length in lengths
    ]


@pytest.fixture(scope="session")
def people() -> "Callable[[int], list[dict[str, float]]]":
    """Makes random histories over the items of `folder_of`: an empty one, one of 5,000, and others."""
    return random_histories
