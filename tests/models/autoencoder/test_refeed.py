"""The collapsed re-feed against the dense one."""

import numpy as np
import pytest
import torch

from refeed.config import AutoencoderConfig
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.refeed import feed
from refeed.models.autoencoder.refeed_cost import collapses


def moved_model(
    config: AutoencoderConfig, n_items: int, hidden: torch.Tensor
) -> tuple[Autoencoder, Autoencoder]:
    """A model before an update and after it."""
    before = Autoencoder(config, n_items, torch.Generator().manual_seed(0)).double()
    after = Autoencoder(config, n_items).double()
    after.load_state_dict(before.state_dict())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in after.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=1e-3)
    assert hidden.dtype == torch.float64
    return before, after


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("users", [1, 7, 40])
def test_loss_and_gradients_of_both_paths_are_equal(tied: bool, users: int) -> None:
    config = AutoencoderConfig(encoder=[6, 5], tied=tied, output_activation=False)
    first = torch.from_numpy(np.random.default_rng(2).normal(size=(users, 6)))
    before, after = moved_model(config, 30, first)
    results = []
    for collapsed in (False, True):
        hidden = first.clone()  # the last hidden layer of the pass before
        fed = feed(before, hidden, collapsed=collapsed)
        after.zero_grad(set_to_none=True)
        again = after.hidden(after.first_layer_dense(fed.times(after.item_in)))
        total, count = fed.errors(after, again)
        (total / count).backward()  # type: ignore[no-untyped-call]
        gradients = {name: p.grad.clone() for name, p in after.named_parameters() if p.grad is not None}
        results.append((total.detach(), count, gradients))
    (dense, dense_count, dense_gradients), (collapsed_total, count, gradients) = results
    assert count == dense_count == users * 30
    torch.testing.assert_close(collapsed_total, dense, rtol=1e-11, atol=0)
    assert gradients.keys() == dense_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, dense_gradients[name], rtol=1e-9, atol=1e-13, msg=name)


def test_in_float32_small_errors_on_large_outputs_survive() -> None:
    config = AutoencoderConfig(encoder=[16], output_activation=False)
    hidden = torch.randn(50, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    before, _ = moved_model(config, 400, hidden)
    after = Autoencoder(config, 400).double()
    after.load_state_dict(before.state_dict())
    with torch.no_grad():
        for model in (before, after):
            model.decode_b[-1].fill_(100.0)  # outputs near 100, errors near 1e-3
        after.item_out.add_(torch.randn(400, 16, generator=torch.Generator().manual_seed(4)), alpha=1e-4)
    exact, _ = feed(before, hidden, collapsed=False).errors(after, hidden)
    fed = feed(before.float(), hidden.float(), collapsed=True)
    rough, _ = fed.errors(after.float(), hidden.float())
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=1e-3)


def test_the_collapsed_path_is_taken_for_large_batches_and_linear_outputs_only() -> None:
    linear = Autoencoder(AutoencoderConfig(encoder=[12], output_activation=False), 5)
    bent = Autoencoder(AutoencoderConfig(encoder=[12]), 5)
    assert [collapses(linear, users) for users in (1, 13, 15, 1000)] == [False, False, True, True]
    assert not collapses(bent, 1000)
