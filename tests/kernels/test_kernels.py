"""The compiled kernels against brute force, and against the plain path."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refeed import kernels

pytestmark = pytest.mark.skipif(
    kernels.kernels() is None, reason="the kernels were not built (no C compiler when refeed was installed)"
)
TYPES = {torch.float32: 1e-4, torch.float64: 1e-12}
counts = st.lists(st.integers(0, 7), min_size=0, max_size=12)
widths = st.integers(1, 300)


def pairs(counts: list[int], n_items: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """So many items for each user, each at most once with a user; (bounds, items)."""
    rng = np.random.default_rng(seed)
    items = [rng.permutation(n_items)[:count] for count in counts]
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return torch.from_numpy(bounds), torch.from_numpy(np.concatenate([[], *items]).astype(np.int32))


@pytest.mark.parametrize("dtype", list(TYPES))
@given(counts=counts, width=widths, seed=st.integers(0, 1000))
def test_sums_are_those_of_a_loop(dtype: torch.dtype, counts: list[int], width: int, seed: int) -> None:
    bounds, items = pairs(counts, 9, seed)
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(9, width, generator=generator, dtype=torch.float64)
    values = torch.randn(len(items), generator=generator, dtype=torch.float64)
    order = torch.randperm(len(items), generator=generator).to(torch.int32)
    for places, picked in ((None, values), (order, values[order.long()])):
        got = kernels.sums(bounds, items, values.to(dtype), table.to(dtype), places)
        expected = torch.zeros(len(counts), width, dtype=torch.float64)
        for user in range(len(counts)):
            for pair in range(int(bounds[user]), int(bounds[user + 1])):
                expected[user] += picked[pair] * table[int(items[pair])]
        assert got.dtype == dtype
        torch.testing.assert_close(got.double(), expected, rtol=TYPES[dtype], atol=10 * TYPES[dtype])


@pytest.mark.parametrize("dtype", list(TYPES))
@given(counts=counts, width=widths, seed=st.integers(0, 1000))
def test_dots_are_those_of_a_loop(dtype: torch.dtype, counts: list[int], width: int, seed: int) -> None:
    bounds, items = pairs(counts, 9, seed)
    generator = torch.Generator().manual_seed(seed)
    table, hidden = (
        torch.randn(n, width, generator=generator, dtype=torch.float64) for n in (9, len(counts))
    )
    got = kernels.dots(bounds, items, hidden.to(dtype), table.to(dtype))
    owners = np.repeat(np.arange(len(counts)), counts)
    expected = (hidden[owners] * table[items.long()]).sum(dim=1)
    torch.testing.assert_close(got.double(), expected, rtol=TYPES[dtype], atol=100 * TYPES[dtype])


@given(counts=counts, n_items=st.integers(7, 40), seed=st.integers(0, 1000))
def test_the_order_by_item_is_the_stable_one(counts: list[int], n_items: int, seed: int) -> None:
    bounds, items = pairs(counts, n_items, seed)
    starts, users, order = kernels.by_item(bounds, items, n_items)
    expected = np.argsort(items.numpy(), kind="stable")
    np.testing.assert_array_equal(order.numpy(), expected)
    np.testing.assert_array_equal(users.numpy(), np.repeat(np.arange(len(counts)), counts)[expected])
    np.testing.assert_array_equal(
        starts.numpy(), np.searchsorted(items.numpy()[expected], np.arange(n_items + 1))
    )


def test_the_numbers_do_not_depend_on_the_threads() -> None:
    bounds, items = pairs([50] * 400, 300, seed=1)
    table, values = torch.randn(300, 70), torch.randn(len(items))
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            sums = kernels.sums(bounds, items, values, table)
            results.append((sums, kernels.dots(bounds, items, sums, table)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_slices_and_transposed_tables_are_taken_as_what_they_show() -> None:
    bounds, items = pairs([2, 0, 3], 5, seed=2)
    values, table = torch.randn(10)[::2], torch.randn(6, 5).t()
    expected = kernels.sums(bounds, items, values.clone(), table.contiguous())
    assert torch.equal(kernels.sums(bounds, items, values, table), expected)


def test_other_precisions_are_left_to_the_plain_path() -> None:
    assert kernels.serves(torch.ones(2), torch.ones(2, dtype=torch.float64))
    assert not kernels.serves(torch.ones(2), torch.ones(2, dtype=torch.bfloat16))
    assert not kernels.serves(torch.ones(2, device="meta"))


OUT_OF_MEMORY = """
import resource, torch
from refeed import kernels

ITEMS = 20_000_000  # whose sums and marks take 80 MB each
bounds, items = torch.tensor([0, 2], dtype=torch.int32), torch.tensor([3, 5], dtype=torch.int32)
x = kernels.SparseRows(bounds, items, torch.ones(2), ITEMS, kernels.by_item(bounds, items, ITEMS))
lengths = torch.ones(ITEMS)
assert kernels.neighbours(x, lengths, 1, first=3, count=1).tolist() == [[5]]
with open("/proc/self/statm") as statm:
    taken = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 40_000_000, resource.RLIM_INFINITY))
for call in (
    lambda: kernels.neighbours(x, lengths, 1, first=3, count=1),
    lambda: kernels.local_grams(x, torch.tensor([[5]], dtype=torch.int32), first=3),
):
    try:
        call()
    except MemoryError as error:
        print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's memory so")
def test_too_little_memory_for_neighbours_is_an_error_and_no_number() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.count("no room for the tables of 20,000,000 items") == 2
