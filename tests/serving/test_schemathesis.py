"""Requests made from the OpenAPI document to a running server: no 5xx, nothing that is not in it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")  # its own


def test_every_answer_is_in_the_document(live: Callable[..., str]) -> None:
    for operation in operations_of(live(page=False)):
        check(operation, 3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_every_one_of_many_answers_is_in_the_document(live: Callable[..., str], seed: int) -> None:
    for operation in operations_of(live(page=False)):
        check(operation, 100, seed)


def operations_of(address: str) -> list[Any]:
    """What the server's document has."""
    document = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) >= 20
    return operations


def check(operation: Any, examples: int, seed: int) -> None:
    """Call an operation with good and bad arguments, `examples` of each."""
    from hypothesis import seed as seeded  # noqa: PLC0415
    from schemathesis import GenerationMode  # noqa: PLC0415

    for mode in list(GenerationMode):
        raw = operation.definition.raw
        if mode is GenerationMode.NEGATIVE and not (raw.get("parameters") or raw.get("requestBody")):
            continue  # there is nothing to give, so nothing bad either
        strategy = operation.as_strategy(generation_mode=mode)

        @seeded(seed)
        @given(case=strategy)
        @settings(
            max_examples=examples,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
            deadline=None,
        )
        def answered(case: Any) -> None:
            case.call_and_validate(checks=checks())

        with suppress(
            *([Unsatisfiable] if mode is GenerationMode.NEGATIVE else [])
        ):  # any text is a good one
            answered()


def checks() -> list[Any]:
    """No 5xx, no status, content type or shape that the document does not have."""
    from schemathesis.checks import not_a_server_error  # noqa: PLC0415
    from schemathesis.specs.openapi.checks import (  # noqa: PLC0415
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    return [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
