"""The published implementation's numbers, reproduced by the very code that trains (see golden/README.md)."""

import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from refeed import kernels
from refeed.config import Activation, AutoencoderConfig, TrainConfig
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import whole
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.step import train_step
from refeed.optim.optimizer import make_optimizer
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

CASES = sorted((Path(__file__).parents[1] / "golden").glob("*.npz"))
NAME = re.compile(r"(tied|untied)_(\w+?)_(lastnl|linear)_aug(\d+)_wd([\d.]+)")
ACTIVATIONS: dict[str, Activation] = {"selu": "selu", "relu": "relu", "elu": "elu"}


def golden_parameters(model: Autoencoder) -> dict[str, torch.Tensor]:
    """The model's parameters under the golden names, each (out, in)."""
    parameters = {"encode_w.0": model.item_in.t()}
    parameters |= {f"encode_w.{n}": w for n, w in enumerate(model.encode_w, start=1)}
    parameters |= {f"encode_b.{n}": b for n, b in enumerate(model.encode_b)}
    parameters |= {f"decode_b.{n}": b for n, b in enumerate(model.decode_b)}
    if not model.config.tied:
        parameters |= {f"decode_w.{n}": w for n, w in enumerate(model.decode_w)}
        parameters[f"decode_w.{len(model.decode_w)}"] = model.item_out
    return parameters


def ratings_of(dense: np.ndarray) -> Ratings:
    users, items = np.nonzero(dense)
    return Ratings.from_arrays(
        users,
        items,
        dense[users, items],
        user_ids=Ids(str(u) for u in range(dense.shape[0])),
        item_ids=Ids(str(i) for i in range(dense.shape[1])),
    )


def test_the_golden_cases_are_here() -> None:
    assert len(CASES) >= 6


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize(
    ("path", "refeed_path"),
    [(path, "dense") for path in CASES] + [(path, "collapsed") for path in CASES if "_linear_" in path.stem],
    ids=lambda value: getattr(value, "stem", value),
)
def test_losses_and_parameters_of_every_update_equal_the_golden_ones(
    path: Path, refeed_path: Literal["dense", "collapsed"], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled and kernels.kernels() is None:
        pytest.skip("the kernels were not built")
    if not compiled:
        monkeypatch.setattr(kernels, "serves", lambda *_: False)
    golden = np.load(path, allow_pickle=False)
    match = NAME.fullmatch(path.stem)
    assert match, path.stem
    tied, activation, output, refeeds, decay = match.groups()
    widths = [len(golden["init.encode_b.0"]), len(golden["init.encode_b.1"])]
    config = AutoencoderConfig(
        encoder=widths,
        tied=tied == "tied",
        activation=ACTIVATIONS[activation],
        output_activation=output == "lastnl",
    )
    train = TrainConfig(
        lr=0.05, momentum=0.9, weight_decay=float(decay), refeed=int(refeeds), refeed_path=refeed_path
    )
    model = Autoencoder(config, n_items=golden["batch0"].shape[1]).double()
    with torch.no_grad():
        for name, parameter in golden_parameters(model).items():
            parameter.copy_(torch.from_numpy(golden[f"init.{name}"]))
    optimizer = make_optimizer(model.parameters(), train)
    runtime = Runtime(torch.device("cpu"))
    dropout = Dropout(0.0, torch.Generator(), slice(0, 5), 5)

    losses: list[float] = []
    for number in range(3):
        dense = golden[f"batch{number}"]
        example = whole(model, ratings_of(dense), np.arange(len(dense)))
        losses += [float(loss) for loss in train_step(model, example, optimizer, train, dropout, runtime)]
        # A batch makes 1 + K updates; the parameters after its last one hold all of them.
        update = (number + 1) * (1 + int(refeeds)) - 1
        for name, parameter in golden_parameters(model).items():
            expected = golden[f"step{update}.{name}"]
            np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=0, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(losses, golden["losses"], rtol=0, atol=1e-9)
