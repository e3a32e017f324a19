"""Sparse updates against PyTorch's dense optimizers on the same gradients."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from refeed.config import TrainConfig
from refeed.optim.lazy_updates import AdamW
from refeed.optim.optimizer import make_optimizer, set_learning_rate
from refeed.optim.row_sparse import RowSparse

ITEMS, WIDTH = 40, 3
Rate = Callable[[int], float]

RATES: dict[str, Rate] = {
    "constant": lambda _: 0.01,
    "warm-up and cosine": lambda t: 0.01 * min(1, (t + 1) / 50) * (1 + math.cos(math.pi * t / 300)),
    "wild": lambda t: 0.02 * float(np.random.default_rng(t).random()),
    "off and on": lambda t: 0.01 * (t // 100 % 2),
}
RULES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9},
    "sgd without momentum": {"optimizer": "sgd", "momentum": 0.0},
    "sgd with decay": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
    "adamw": {"optimizer": "adamw"},
    "adamw with decay": {"optimizer": "adamw", "weight_decay": 3.0},
}


def pair(config: TrainConfig, dtype: torch.dtype) -> tuple[list[nn.Parameter], list[Any]]:
    """The same weights twice, one with a dense and one with a sparse optimizer."""
    start = torch.randn(ITEMS, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = [nn.Parameter(start.to(dtype, copy=True)) for _ in range(2)]
    return weights, [make_optimizer(weights[:1], config), sparse_optimizer(weights[1], config)]


def sparse_optimizer(weight: nn.Parameter, config: TrainConfig) -> RowSparse:
    """Of one matrix and, as in every model, something else."""
    optimizer = make_optimizer([weight, nn.Parameter(torch.zeros(1))], config, [weight])
    assert isinstance(optimizer, RowSparse)
    return optimizer


def gradient(update: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Few rows, some of them hundreds of updates apart, of sizes from nothing to far below AdamW's ε."""
    often = rng.choice(ITEMS - 3, 2, replace=False)
    rare = [ITEMS - 2] if update % 233 == 5 else [ITEMS - 1] if update == 2 else []
    rows = np.sort(np.concatenate([often, rare]).astype(np.int64))
    sizes = 10.0 ** rng.integers(-13, 1, (len(rows), WIDTH)) * (rng.random((len(rows), WIDTH)) < 0.8)
    return rows, rng.normal(size=sizes.shape) * sizes


def give(weights: list[nn.Parameter], rows: np.ndarray, values: np.ndarray) -> None:
    """The same gradient to both, dense and sparse."""
    for weight, sparse in zip(weights, (False, True), strict=True):
        where, what = torch.from_numpy(rows)[None], torch.from_numpy(values).to(weight.dtype)
        given = torch.sparse_coo_tensor(where, what, weight.shape, check_invariants=True)
        weight.grad = given if sparse else given.to_dense()


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
def test_rows_are_the_dense_optimizers_whenever_they_are_read(settings: dict[str, Any], rate: Rate) -> None:
    weights, (one, other) = pair(TrainConfig.model_validate(settings), torch.float64)
    dense, sparse = weights
    rng = np.random.default_rng(1)
    for update in range(240):
        rows, values = gradient(update, rng)
        other.catch_up(sparse, torch.from_numpy(rows))
        torch.testing.assert_close(sparse[rows], dense[rows], rtol=1e-12, atol=1e-12)
        give(weights, rows, values)
        for optimizer in (one, other):
            set_learning_rate(optimizer, rate(update))
            optimizer.step()
        if update in (0, 1, 7):
            other.flush()
            torch.testing.assert_close(sparse, dense, rtol=1e-12, atol=1e-12)
    other.flush()
    torch.testing.assert_close(sparse, dense, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
def test_float32_is_as_near_to_float64_as_the_dense_optimizer_is(settings: dict[str, Any]) -> None:
    config = TrainConfig.model_validate(settings)
    (truth, _), (exact, _) = pair(config, torch.float64)
    weights, (dense, sparse) = pair(config, torch.float32)
    rng = np.random.default_rng(2)
    for update in range(300):
        rows, values = gradient(update, rng)
        values = values.astype(np.float32).astype(np.float64)
        give(weights, rows, values)
        truth.grad = torch.zeros_like(truth).index_copy_(0, torch.from_numpy(rows), torch.from_numpy(values))
        for optimizer in (exact, dense, sparse):
            set_learning_rate(optimizer, RATES["warm-up and cosine"](update))
            optimizer.step()
    sparse.flush()
    errors = [float((weight - truth).detach().abs().max()) for weight in weights]
    assert errors[1] <= max(errors[0], 1e-6)


def test_what_the_series_of_adamw_leaves_out_is_below_rounding() -> None:
    few, many = AdamW(0.0, terms=8), AdamW(0.0, terms=40)
    for last in (0, 1, 2, 5, 30, 500, 5000):
        start, moved = last, []
        for rule in (few, many):
            entries, update = rule.identity[None], last
            while update == last or (update < last + 400 and not rule.begins(start, update + 1)):
                update += 1
                rule.extend(entries, np.array([last]), update, 0.01)
            assert np.abs(entries[:, 5] / entries[:, 4]).max() <= 1 / 9 + 1e-12  # the mean of η
            square = torch.logspace(-40, 4, 200, dtype=torch.float64)[None]
            weight = torch.zeros_like(square)
            rule.make_up(torch.from_numpy(entries), weight, torch.ones_like(square), square.clone())
            moved.append(weight)
        torch.testing.assert_close(moved[0], moved[1], rtol=3e-8, atol=0)


def test_the_other_parameters_have_the_dense_optimizer() -> None:
    matrix, bias = nn.Parameter(torch.ones(4, 2)), nn.Parameter(torch.ones(3))
    optimizer = make_optimizer([matrix, bias], TrainConfig(lr=0.5, momentum=0.0), [matrix])
    bias.grad = torch.ones(3)
    matrix.grad = torch.sparse_coo_tensor(
        torch.tensor([[2]]), torch.ones(1, 2), (4, 2), check_invariants=True
    )
    set_learning_rate(optimizer, 0.25)
    optimizer.step()
    assert bias.tolist() == [0.75] * 3
    assert matrix.tolist() == [[1, 1], [1, 1], [0.75, 0.75], [1, 1]]
    optimizer.zero_grad()
    assert bias.grad is None
    assert matrix.grad is None


@pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
def test_a_saved_state_goes_on_bit_for_bit(settings: dict[str, Any]) -> None:
    config = TrainConfig.model_validate(settings)
    (weight, _), _ = pair(config, torch.float32)
    weights = [weight, nn.Parameter(weight.detach().clone())]
    optimizers = [sparse_optimizer(one, config) for one in weights]
    for update in range(200):
        rows, values = gradient(update, np.random.default_rng(update))
        if update == 100:  # the second one goes on from a copy of the first one's state
            state = optimizers[0].state_dict()
            weights[1].data.copy_(weights[0].data)
            optimizers[1] = sparse_optimizer(weights[1], config)
            optimizers[1].load_state_dict(copied(state))
        for one, optimizer in zip(weights, optimizers, strict=True):
            if update >= 100 or one is weights[0]:
                where, what = torch.from_numpy(rows)[None], torch.from_numpy(values).float()
                one.grad = torch.sparse_coo_tensor(where, what, one.shape, check_invariants=True)
                set_learning_rate(optimizer, 0.01 / (1 + update))
                optimizer.step()
    for optimizer in optimizers:
        optimizer.flush()
    assert torch.equal(*weights)


def copied(node: Any) -> Any:
    """A state without anything in common with the original."""
    if isinstance(node, torch.Tensor):
        return node.clone()
    if isinstance(node, dict):
        return {key: copied(value) for key, value in node.items()}
    return [copied(value) for value in node] if isinstance(node, list) else node
