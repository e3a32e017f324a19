"""While the tests run, refeed's functions are called with what their annotations say, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass

import jaxtyping
import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintParamViolation
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from refeed.models.interactions.linear import ridges
from refeed.spelling import close_matches

check: Callable[..., Callable[..., object]] = jaxtyping.jaxtyped(typechecker=beartype)


def test_types_are_checked() -> None:
    with pytest.raises(BeartypeCallHintParamViolation, match="close_matches"):
        close_matches(3, ["a word"])  # type: ignore[arg-type]


def test_shapes_are_checked() -> None:
    with pytest.raises(TypeCheckError, match="diagonal"):
        ridges(torch.ones(2, 2), 1.0, 0.5)


def test_arguments_that_share_an_axis_are_as_long_as_each_other() -> None:
    @check
    def dot(one: Float[Tensor, " items"], other: Float[Tensor, " items"]) -> Tensor:
        return one @ other

    assert dot(torch.ones(3), torch.ones(3)) == 3
    with pytest.raises(TypeCheckError, match="other"):
        dot(torch.ones(3), torch.ones(4))


def test_fields_of_dataclasses_are_checked() -> None:
    @check
    @dataclass
    class Pair:
        name: str
        code: Float[Tensor, " width"]

    Pair("a", torch.ones(3))
    with pytest.raises(TypeCheckError, match="code"):
        Pair("a", torch.ones(3, 3))
