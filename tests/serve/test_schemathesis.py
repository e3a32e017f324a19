"""Requests made from the OpenAPI document: no 5xx, nothing that is not in it. Bounded: some dozens each."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from starlette.testclient import TestClient

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")


@pytest.fixture
def document(serving: Callable[..., TestClient]) -> object:
    """The OpenAPI document of a running application."""
    client = serving(page=False, names=("testserver",))
    return schemathesis.openapi.from_asgi("/openapi.json", client.app)


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=12,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_in_the_document(case: object) -> None:
    case.call_and_validate()  # type: ignore[attr-defined]
