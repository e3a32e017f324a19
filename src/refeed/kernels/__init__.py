"""Compiled kernels for processors, optional: where they are absent, plain PyTorch computes the same.

`kernels.c` is built when the package is installed, if there is a compiler. The threads are those that PyTorch
has: a second pool beside it would fight for the same cores.
"""

import ctypes
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

__all__ = [
    "SparseRows",
    "by_item",
    "described",
    "dots",
    "gram",
    "kernels",
    "local_grams",
    "neighbours",
    "serves",
    "sparse_sums",
    "sums",
    "update",
]

_POINTER, _LENGTH, _COUNT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
_NAMES = {torch.float32: "float32", torch.float64: "float64"}


@cache
def kernels() -> ctypes.CDLL | None:
    """The compiled library; None if it was not built."""
    for path in _candidates():
        if not path.is_file():
            continue
        try:
            return _declared(ctypes.CDLL(str(path)))
        except (OSError, AttributeError):  # built for another platform, or by another version of refeed
            continue
    return None


def described() -> str:
    """How the kernels run here, in words."""
    if kernels() is None:
        return "absent (no C compiler when refeed was installed); PyTorch's own operations serve, more slowly"
    if _parallel() is None:
        return "compiled, but one thread each: this PyTorch brings no OpenMP runtime (libgomp) to share"
    return "compiled, with the threads of PyTorch's OpenMP runtime"


def serves(*tensors: Tensor) -> bool:
    """Whether the kernels can take these tensors: on the CPU, of a precision that they know."""
    return kernels() is not None and all(
        tensor.device.type == "cpu" and tensor.dtype in _NAMES for tensor in tensors
    )


def sums(
    bounds: Int32[Tensor, " bounds"],
    rows: Int32[Tensor, " pairs"],
    values: Float[Tensor, " pairs"],
    table: Float[Tensor, "rows width"],
    order: Int32[Tensor, " pairs"] | None = None,
) -> Float[Tensor, "n width"]:
    """Σ values[order[p]] × table[rows[p]] over the pairs p of each of the n = bounds − 1 stretches.

    Args:
        bounds: where each stretch of pairs starts, and their total at the end.
        rows: which row of the table each pair takes.
        values: what it is worth.
        table: the rows.
        order: where in `values` each pair's is; None: in the same order.
    """
    table, values = table.contiguous(), values.contiguous()
    out = table.new_empty(len(bounds) - 1, table.shape[1])
    pointers = [tensor.data_ptr() for tensor in (values, table, out)]
    place = None if order is None else order.data_ptr()
    _function("sums", table)(*out.shape, bounds.data_ptr(), rows.data_ptr(), place, *pointers, *_threads())
    return out


def dots(
    bounds: Int32[Tensor, " bounds"],
    rows: Int32[Tensor, " pairs"],
    hidden: Float[Tensor, "n width"],
    table: Float[Tensor, "rows width"],
) -> Float[Tensor, " pairs"]:
    """hidden[i] · table[rows[p]] for each pair p, of the stretch i that it lies in."""
    hidden, table = hidden.contiguous(), table.contiguous()
    out = table.new_empty(len(rows))
    pointers = [tensor.data_ptr() for tensor in (bounds, rows, hidden, table, out)]
    _function("dots", table)(*hidden.shape, *pointers, *_threads())
    return out


def by_item(
    bounds: Int32[Tensor, " bounds"], items: Int32[Tensor, " pairs"], n_items: int
) -> tuple[Int32[Tensor, " item_bounds"], Int32[Tensor, " pairs"], Int32[Tensor, " pairs"]]:
    """The pairs sorted by item: where each item's start, their users, their places in the order by user."""
    starts, users, order = items.new_empty(n_items + 1), torch.empty_like(items), torch.empty_like(items)
    pointers = [tensor.data_ptr() for tensor in (bounds, items, starts, users, order)]
    library = kernels()
    assert library is not None  # noqa: S101 - callers ask `serves` first
    library.refeed_by_item(len(bounds) - 1, n_items, *pointers)
    return starts, users, order


@dataclass(frozen=True)
class SparseRows:
    """Sparse rows by user, and the same pairs by item.

    Args:
        bounds: where each user's pairs start, and their total at the end.
        items: of each pair, ascending within a user.
        values: of each pair.
        n_items: how many items there are.
        by_item: the function `by_item` of them.
    """

    bounds: Int32[Tensor, " bounds"]
    items: Int32[Tensor, " pairs"]
    values: Float[Tensor, " pairs"]
    n_items: int
    by_item: tuple[Int32[Tensor, " item_bounds"], Int32[Tensor, " pairs"], Int32[Tensor, " pairs"]]


def gram(x: SparseRows, out: Float[Tensor, "rows items"], *, first: int = 0, upper: bool = False) -> None:
    """Rows of the Gram matrix Xᵀ X of a sparse X, each summed by one thread in the order of the users.

    Args:
        x: X.
        out: is overwritten by the rows first, first + 1, …; contiguous.
        first: see `out`.
        upper: leave the entries before the diagonal at 0, which saves half of the work.
    """
    assert out.is_contiguous()  # noqa: S101 - or it would not change
    starts, users, order = x.by_item
    table = x.bounds.long(), x.items, x.values
    pointers = [tensor.data_ptr() for tensor in (starts, users, order, x.values, *table, out)]
    _function("sparse_sums", out)(len(out), x.n_items, first, int(upper), *pointers, *_threads())


def sparse_sums(
    bounds: Int32[Tensor, " bounds"],
    rows: Int32[Tensor, " pairs"],
    values: Float[Tensor, " pairs"],
    table: tuple[Int64[Tensor, " row_bounds"], Int32[Tensor, " entries"], Float[Tensor, " entries"]],
    width: int,
) -> Float[Tensor, "n width"]:
    """`sums` with a sparse table: where its rows start, and the column and the value of each entry."""
    out = values.new_empty(len(bounds) - 1, width)
    pointers = [bounds.data_ptr(), rows.data_ptr(), None, *(t.data_ptr() for t in (values, *table, out))]
    _function("sparse_sums", out)(len(out), width, 0, 0, *pointers, *_threads())
    return out


def neighbours(
    x: SparseRows, lengths: Float[Tensor, " items"], k: int, *, first: int, count: int
) -> Int32[Tensor, "count k"]:
    """The k items with the highest cosine to each item, ascending; −1 at the end where fewer have any.

    Args:
        x: X.
        lengths: of its columns.
        k: how many.
        first: the first item whose neighbours are wanted.
        count: of so many items.

    Raises:
        MemoryError: there is not enough memory for the kernel's own tables.
    """
    found = torch.empty(count, k, dtype=torch.int32)
    cosines = x.values.new_empty(count, k)
    _local(x, lengths, found, cosines, None, first)
    found[found < 0] = x.n_items
    found = found.sort(dim=1).values
    found[found == x.n_items] = -1
    return found


def local_grams(
    x: SparseRows, of: Int32[Tensor, "count k"], *, first: int
) -> tuple[Float[Tensor, "count k k"], Float[Tensor, "count k"]]:
    """The upper triangle of the Gram matrix of each item's neighbours, and their products with the item.

    Args:
        x: X.
        of: the neighbours of the items first, first + 1, …, as `neighbours` gives them.
        first: see `of`.

    Raises:
        MemoryError: there is not enough memory for the kernel's own tables.
    """
    count, k = of.shape
    grams, products = x.values.new_empty(count, k, k), x.values.new_empty(count, k)
    _local(x, x.values, of.contiguous(), products, grams, first)
    return grams, products


def _local(
    x: SparseRows, lengths: Tensor, of: Tensor, cosines: Tensor, grams: Tensor | None, first: int
) -> None:
    pointers = [t.data_ptr() for t in (x.bounds, x.items, *x.by_item, x.values, lengths, of, cosines)]
    place = None if grams is None else grams.data_ptr()
    sizes = len(of), x.n_items, first, of.shape[1]
    failed = _function("nearest", x.values)(*sizes, *pointers, place, *_threads())
    if failed:
        raise MemoryError(f"no room for the tables of {x.n_items:,} items that each thread needs")


def update(
    name: Literal["momentum_skip", "momentum_step", "adamw_skip", "adamw_step"],
    rows: Int64[Tensor, " rows"],
    given: Float[Tensor, "rows columns"],
    tables: Sequence[Float[Tensor, "items width"]],
    scalars: Sequence[float] = (),
) -> None:
    """Change some rows of a weight matrix and of its optimizer's buffers, in place.

    Args:
        name: by which formula (optim/lazy_updates.py).
        rows: which, each once.
        given: the entry or the gradient of each.
        tables: the matrix and its buffers, contiguous.
        scalars: the formula's, at most seven.
    """
    assert all(table.is_contiguous() for table in tables)  # noqa: S101 - or they would not change
    rows, given = rows.contiguous(), given.to(tables[0].dtype).contiguous()
    pointers = [table.data_ptr() for table in tables] + [None] * (3 - len(tables))
    numbers = (ctypes.c_double * 7)(*scalars)
    sizes = len(rows), tables[0].shape[1], given.shape[1]
    _function(name, tables[0])(*sizes, rows.data_ptr(), given.data_ptr(), *pointers, numbers, *_threads())


def _candidates() -> Iterator[Path]:
    here = Path(__file__)
    yield here.with_name("_native.so")
    # As it was named before it was a plain library.
    yield here.with_name(f"_native{sysconfig.get_config_var('EXT_SUFFIX')}")


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    for name in _NAMES.values():
        getattr(library, f"refeed_sums_{name}").argtypes = [_LENGTH] * 2 + [_POINTER] * 7 + [_COUNT]
        getattr(library, f"refeed_dots_{name}").argtypes = [_LENGTH] * 2 + [_POINTER] * 6 + [_COUNT]
        sparse = getattr(library, f"refeed_sparse_sums_{name}")
        sparse.argtypes = [_LENGTH] * 3 + [_COUNT] + [_POINTER] * 9 + [_COUNT]
        getattr(library, f"refeed_nearest_{name}").argtypes = [_LENGTH] * 4 + [_POINTER] * 11 + [_COUNT]
        for formula in ("momentum_skip", "momentum_step", "adamw_skip", "adamw_step"):
            function = getattr(library, f"refeed_{formula}_{name}")
            function.argtypes = [_LENGTH] * 3 + [_POINTER] * 7 + [_COUNT]
    library.refeed_by_item.argtypes = [_LENGTH] * 2 + [_POINTER] * 5
    return library


def _function(name: str, like: Tensor) -> "ctypes._NamedFuncPointer":
    return getattr(kernels(), f"refeed_{name}_{_NAMES[like.dtype]}")  # type: ignore[no-any-return]


def _threads() -> tuple[ctypes.c_void_p | None, int]:
    """What starts PyTorch's threads, and how many it may."""
    return _parallel(), torch.get_num_threads()


@cache
def _parallel() -> ctypes.c_void_p | None:
    """`GOMP_parallel` of the runtime in PyTorch's folder; None: one thread."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*")):
        return ctypes.cast(ctypes.CDLL(str(path)).GOMP_parallel, ctypes.c_void_p)
    return None
