"""Requests made from the OpenAPI document: no 5xx, nothing that is not in it. Bounded: some dozens each."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.testclient import TestClient

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")  # of schemathesis' own
def test_every_answer_is_in_the_document(serving: Callable[..., TestClient]) -> None:
    client = serving(page=False, names=("testserver",))
    document = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) >= 20
    for operation in operations:
        _check(operation)


def _check(operation: Any) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=6,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def answered(case: Any) -> None:
        case.call_and_validate(checks=checks())

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
