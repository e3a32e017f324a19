"""Errors as application/problem+json (RFC 9457). None of them tells of files, hosts or statements."""

import logging
from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from refeed.errors import ConfigError, DataError, ModelError, StoreError, UnknownIdError, UserError
from refeed.serve.batching import BusyError
from refeed.serve.database import StoreFullError, StoreUnavailableError

__all__ = ["RESPONSES", "TITLES", "Problem", "add_handlers", "problem"]

log = logging.getLogger("refeed.serve")

TITLES = {
    400: "The request is not understood",
    401: "A token is needed",
    403: "This is not allowed",
    404: "There is no such thing",
    405: "There is no such method here",
    409: "The state is another one",
    413: "The request is too large",
    415: "The content type is another one",
    422: "The request makes no sense here",
    429: "Too many requests",
    500: "A fault of refeed's own",
    503: "The server is busy",
    507: "The disk is full",
}


class Problem(BaseModel):
    """What went wrong."""

    type: str = "about:blank"
    title: str = Field(examples=["The request makes no sense here"])
    status: int = Field(examples=[422])
    detail: str = Field(description="What was given, what was expected, and what to do.")
    request: str = Field(description="The X-Request-ID, by which the server's log can be searched.")


def _documented(status: int) -> dict[str, object]:
    return {
        "description": TITLES[status],
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


RESPONSES: dict[int | str, dict[str, object]] = {
    status: _documented(status) for status in TITLES if status not in {405, 409, 415, 500}
}
"""What every operation may answer beside its result."""


def problem(status: int, detail: str, request_id: str = "") -> Response:
    """An answer of this kind."""
    body = Problem(title=TITLES.get(status, "An error"), status=status, detail=detail, request=request_id)
    headers = {"Retry-After": "1"} if status in {429, 503} else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(to_json(body), status, headers, media_type="application/problem+json")


def _status(error: UserError) -> tuple[int, str]:
    """The status of an error of refeed's, and what may be said of it."""
    if isinstance(error, StoreFullError):
        return 507, str(error)
    if isinstance(error, StoreUnavailableError):
        return 503, str(error)
    if isinstance(error, UnknownIdError):
        return 404, str(error)
    if isinstance(error, ModelError):  # names folders of this machine
        return 422, "the model can't do this, or its folder can't be used; the server's log says why"
    if isinstance(error, DataError | ConfigError | StoreError):
        return 422, str(error)
    return 422, "this can't be done; the server's log says why"


def add_handlers(app: FastAPI, shown: Callable[[Request, int, str], Response | None]) -> None:
    """Have an application answer in this way.

    Args:
        app: the application.
        shown: a page instead, from a request, the status and what went wrong; None: the request wants none.
    """

    def answer(request: Request, status: int, detail: str) -> Response:
        page = shown(request, status, detail)
        return problem(status, detail, request.state.request_id) if page is None else page

    @app.exception_handler(UserError)
    async def _ours(request: Request, error: UserError) -> Response:
        status, detail = _status(error)
        if isinstance(error, ModelError) or status >= 500:
            log.warning("%s: %s", type(error).__name__, error)
        return answer(request, status, detail)

    @app.exception_handler(BusyError)
    async def _busy(request: Request, error: BusyError) -> Response:
        return answer(request, 503, str(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        lines = [_line(one["loc"], one["msg"]) for one in error.errors()[:20]]
        return problem(422, "; ".join(lines), request.state.request_id)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        found = answer(request, error.status_code, str(error.detail))
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(Exception)
    async def _fault(request: Request, _: Exception) -> Response:
        return answer(request, 500, "something broke; the server's log has it")


def _line(where: tuple[int | str, ...], message: str) -> str:
    """One mistake; the value itself is not repeated, as it may be anything."""
    path = ".".join(str(part)[:60] for part in where if part not in {"body", "query", "path"})
    return f"{path}: {message}" if path else message
