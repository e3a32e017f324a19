"""The network: sizes, start, activations, dropout, and predictions against a dense reading of the paper."""

from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from refeed.config import Activation, AutoencoderConfig
from refeed.models.autoencoder.activations import ACTIVATIONS
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.network import Autoencoder
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

NETFLIX_ITEMS = 17_768


def ratings(seed: int = 0, users: int = 7, items: int = 11, density: float = 0.4) -> Ratings:
    rng = np.random.default_rng(seed)
    row, column = np.nonzero(rng.random((users, items)) < density)
    return Ratings.from_arrays(
        row,
        column,
        rng.integers(1, 6, len(row)).astype(np.float64),
        user_ids=Ids(f"u{u}" for u in range(users)),
        item_ids=Ids(f"i{i}" for i in range(items)),
    )


def dense_of(known: Ratings) -> tuple[Tensor, Tensor]:
    """(users × items) ratings with 0 for none, and which are there."""
    values = np.zeros((known.n_users, known.n_items))
    rated = np.zeros_like(values, dtype=bool)
    values[known.users, known.items] = known.values
    rated[known.users, known.items] = True
    return torch.from_numpy(values), torch.from_numpy(rated)


@pytest.mark.parametrize(
    ("encoder", "tied", "expected"),
    [
        # Table 2 of the paper: layers of 128, 2 to 12 of them in encoder and decoder together.
        ([128] * 1, False, 4_566_504),
        ([128] * 2, False, 4_599_528),
        ([128] * 3, False, 4_632_552),
        ([128] * 4, False, 4_665_576),
        ([128] * 5, False, 4_698_600),
        ([128] * 6, False, 4_731_624),
        ([256], False, 9_115_240),
        ([512, 512, 1024], False, 19_788_136),
        ([512, 512, 1024], True, 9_904_488),
    ],
)
def test_parameter_counts_are_the_papers(encoder: list[int], tied: bool, expected: int) -> None:
    model = Autoencoder(AutoencoderConfig(encoder=encoder, tied=tied), NETFLIX_ITEMS)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_the_output_can_start_at_the_mean_of_the_training_ratings() -> None:
    train = ratings()
    users, items = np.repeat(np.arange(7), 11), np.tile(np.arange(11), 7)

    def predicted(start: Literal["zero", "mean"]) -> NDArray[np.float64]:
        generator = torch.Generator().manual_seed(1)
        model = Autoencoder(
            AutoencoderConfig(encoder=[4], output_activation=False, output_start=start), 11, generator
        ).double()
        model.fit_biases(train, None)
        return model.predict(train, users, items)

    np.testing.assert_allclose(predicted("mean") - predicted("zero"), train.mean, rtol=1e-12)


def test_the_start_is_xavier_uniform_with_zero_biases() -> None:
    model = Autoencoder(AutoencoderConfig(encoder=[300, 200]), 500, torch.Generator().manual_seed(1))
    for weight, fans in (
        (model.item_in, 800),
        (model.encode_w[0], 500),
        (model.decode_w[0], 500),
        (model.item_out, 800),
    ):
        bound = (6 / fans) ** 0.5
        assert 0.99 * bound < float(weight.detach().abs().max()) <= bound
        assert abs(float(weight.detach().std()) / (bound / 3**0.5) - 1) < 0.01
    assert all(not bias.any() for bias in [*model.encode_b, *model.decode_b])


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("output_activation", [True, False])
def test_predictions_equal_the_papers_formulas_on_dense_matrices(
    name: Activation, output_activation: bool
) -> None:
    known = ratings()
    config = AutoencoderConfig(
        encoder=[6, 5], decoder=[4, 3], activation=name, output_activation=output_activation
    )
    model = Autoencoder(config, known.n_items, torch.Generator().manual_seed(2)).double()
    x, _ = dense_of(known)
    act = ACTIVATIONS[name]
    units = act(x @ model.item_in + model.encode_b[0])
    units = act(units @ model.encode_w[0].t() + model.encode_b[1])
    units = act(units @ model.decode_w[0].t() + model.decode_b[0])
    units = act(units @ model.decode_w[1].t() + model.decode_b[1])
    outputs = units @ model.item_out.t() + model.decode_b[2]
    expected = (act(outputs) if output_activation else outputs).detach().numpy()
    everyone = np.arange(known.n_users)
    np.testing.assert_allclose(model.predict_all(known, everyone), expected, rtol=1e-6, atol=1e-6)
    users, items = (grid.ravel() for grid in np.meshgrid(everyone, np.arange(known.n_items), indexing="ij"))
    np.testing.assert_allclose(model.predict(known, users, items), expected.ravel(), rtol=1e-12, atol=1e-12)


def test_activations_are_those_of_the_papers_section_3_2() -> None:
    x = torch.tensor([-2.0, -0.5, 0.0, 3.0, 7.0], dtype=torch.float64)
    expected = {
        "sigmoid": 1 / (1 + (-x).exp()),
        "relu": x.clamp(min=0),
        "relu6": x.clamp(0, 6),
        "tanh": x.sinh() / x.cosh(),
        "elu": torch.where(x > 0, x, x.exp() - 1),
        "lrelu": torch.where(x > 0, x, 0.01 * x),
        "swish": x / (1 + (-x).exp()),
        "selu": 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (x.exp() - 1)),
        "none": x,
    }
    assert expected.keys() == ACTIVATIONS.keys()
    for name, act in ACTIVATIONS.items():
        torch.testing.assert_close(act(x), expected[name])


def test_a_tied_decoder_is_the_encoder_transposed() -> None:
    known = ratings()
    config = AutoencoderConfig(encoder=[6, 5], tied=True, activation="tanh", output_activation=False)
    model = Autoencoder(config, known.n_items, torch.Generator().manual_seed(2)).double()
    x, _ = dense_of(known)
    code = torch.tanh(torch.tanh(x @ model.item_in) @ model.encode_w[0].t())
    expected = torch.tanh(code @ model.encode_w[0]) @ model.item_in.t()
    np.testing.assert_allclose(
        model.predict_all(known, np.arange(7)), expected.detach().numpy(), rtol=1e-6, atol=1e-6
    )


def test_a_pair_may_be_asked_for_more_often_than_there_are_items() -> None:
    known = ratings()
    model = Autoencoder(AutoencoderConfig(encoder=[3]), known.n_items, torch.Generator().manual_seed(2))
    users, items = np.repeat([3, 1, 3], 20), np.repeat([10, 0, 2], 20)
    expected = model.predict(known, np.array([3, 1, 3]), np.array([10, 0, 2]))
    np.testing.assert_allclose(model.predict(known, users, items), np.repeat(expected, 20), rtol=1e-6)


def test_an_item_based_model_encodes_items_and_decodes_users() -> None:
    known = ratings()
    config = AutoencoderConfig(axis="item", encoder=[5], activation="sigmoid", output_activation=False)
    model = Autoencoder(config, known.n_users, torch.Generator().manual_seed(2)).double()
    x, _ = dense_of(known)
    expected = (torch.sigmoid(x.t() @ model.item_in) @ model.item_out.t()).t().detach().numpy()
    np.testing.assert_allclose(model.predict_all(known, np.arange(7)), expected, rtol=1e-6, atol=1e-6)
    users, items = np.array([6, 0, 6]), np.array([1, 10, 0])
    np.testing.assert_allclose(model.predict(known, users, items), expected[users, items], rtol=1e-12)


def test_a_residual_model_with_scaled_inputs_and_a_rated_channel_adds_its_output_to_the_biases() -> None:
    known = ratings(density=0.6)
    config = AutoencoderConfig(
        encoder=[5],
        output_activation=False,
        target="residual",
        bias_damping=[4.0, 2.0],
        input_scale="sqrt",
        rated_channel=True,
    )
    model = Autoencoder(config, known.n_items, torch.Generator().manual_seed(2)).double()
    model.fit_biases(known, None)
    x, rated = dense_of(known)
    mean, of_items = model.bias_mean, model.bias_items
    counts = rated.sum(dim=1)
    of_users = torch.where(rated, x - mean - of_items, 0.0).sum(dim=1) / (counts + 4)
    level = mean + of_users[:, None] + of_items
    residual = torch.where(rated, x - level, 0.0)
    first = (residual @ model.item_in + rated.double() @ model.item_rated) / counts.sqrt()[:, None]
    expected = level + torch.selu(first) @ model.item_out.t()
    np.testing.assert_allclose(
        model.predict_all(known, np.arange(7)), expected.detach().numpy(), rtol=1e-6, atol=1e-6
    )


def test_dropout_falls_on_the_code_alone_unless_asked_for_everywhere() -> None:
    known = ratings()
    for everywhere, masks in ((False, 1), (True, 5)):
        config = AutoencoderConfig(encoder=[6, 5, 4], dropout=0.5, dropout_everywhere=everywhere)
        model = Autoencoder(config, known.n_items)
        drawn: list[torch.Size] = []

        class Counting(Dropout):
            def __call__(self, units: Tensor) -> Tensor:
                drawn.append(units.shape)  # noqa: B023 - used within this turn of the loop only
                return super().__call__(units)

        batch, _ = model.batch(known, np.arange(7))
        model(batch, Counting(0.5, torch.Generator(), slice(0, 7), 7))
        assert len(drawn) == masks
        assert (7, 4) in drawn


def test_dropout_keeps_the_mean_and_drops_the_share_asked_for() -> None:
    units = torch.ones(400, 500)
    dropped = Dropout(0.8, torch.Generator().manual_seed(0), slice(0, 400), 400)(units)
    assert abs(float((dropped == 0).float().mean()) - 0.8) < 0.005
    assert abs(float(dropped.mean()) - 1) < 0.02
    assert set(dropped.ravel().tolist()) == {0.0, 5.0}


def test_processes_that_share_a_batch_draw_the_mask_of_the_whole() -> None:
    units = torch.randn(10, 6)
    whole = Dropout(0.5, torch.Generator().manual_seed(4), slice(0, 10), 10)(units)
    parts = [
        Dropout(0.5, torch.Generator().manual_seed(4), rows, 10)(units[rows])
        for rows in (slice(0, 4), slice(4, 10))
    ]
    assert torch.equal(whole, torch.cat(parts))
