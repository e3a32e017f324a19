"""What stands before every request: its id, who may, how much and how often; and its line in the log.

One ASGI wrapper instead of several: each costs every request. A line of the log names the route's pattern,
not the path, in which people's ids are; nor are tokens ever in it.
"""

import itertools
import json
import logging
import re
import secrets
import time
from collections import OrderedDict

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from refeed.serve.metrics import Metrics
from refeed.serve.problems import problem
from refeed.serve.settings import Settings, is_loopback

__all__ = ["Guard"]

log = logging.getLogger("refeed.serve")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
access = logging.getLogger("refeed.access")

_READS = {"/v1/recommend", "/v1/predict", "/v1/explain"}
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    # With "no-referrer" browsers send `Origin: null` with the page's own forms, as pages of others do.
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", _PAGE.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_ADDRESSES = 10_000


class _Rate:
    """A bucket of tokens for each address."""

    def __init__(self, rate: float) -> None:
        self._rate, self._burst = rate, max(2 * rate, 1.0)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        if not self._rate:
            return True
        now = time.monotonic()
        level, since = self._buckets.pop(address, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        self._buckets[address] = (max(level - 1, 0.0) if level >= 1 else level, now)
        if len(self._buckets) > _ADDRESSES:  # the one that has been silent longest
            self._buckets.popitem(last=False)
        return level >= 1


class Guard:
    """The application, guarded.

    Args:
        app: what is behind.
        settings: tokens, limits and names.
        metrics: hears of each request.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(secrets.randbelow(1 << 24))
        self._rate = _Rate(settings.limits.rate)
        self._names = {"localhost", "127.0.0.1", "[::1]", settings.host, *settings.names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get(b"x-request-id", "")
        request_id = given if given and _ID.fullmatch(given) else f"{self._prefix}{next(self._numbers):08x}"
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    *_HEADERS,
                    (b"x-request-id", request_id.encode()),
                    *([] if _cached(message["headers"]) else [(b"cache-control", b"no-store")]),
                ]
            await send(message)

        try:
            refused = self._refuse(scope, headers)
            if refused is None:
                await self._app(scope, self._limited(receive), sending)
            else:
                await problem(*refused, request_id)(scope, receive, sending)
        except Exception:  # answered by now, as a problem of status 500
            log.exception("a fault of refeed's own", extra={"request": request_id})
        finally:
            self._note(scope, status, time.perf_counter() - started, request_id)

    # ------------------------------------------------------------------ who may

    def _refuse(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str] | None:
        client = scope.get("client")
        if not self._rate.allows(client[0] if client else ""):
            return 429, f"more than {self._settings.limits.rate:g} requests a second; try again in a second"
        if int_of(headers.get(b"content-length", "0")) > self._settings.limits.body:
            return 413, self._too_large()
        # A page elsewhere whose name leads here (DNS rebinding) must not read what is open to this machine.
        host = re.sub(r":\d+$", "", headers.get(b"host", ""))
        if is_loopback(self._settings.host) and host not in self._names:
            return 403, "this server is called by another name; give that one, or allow this one by --name"
        return self._authorize(scope, headers)

    def _authorize(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str] | None:
        tokens, path, method = self._settings.tokens, scope["path"], scope["method"]
        api = path.startswith("/v1/") or path in {"/metrics", "/openapi.json"}
        if not api:
            return self._same_site(method, headers)
        if tokens is None:
            # Without tokens a page elsewhere could write from a browser on this machine.
            return self._same_site(method, headers)
        scheme, _, token = headers.get(b"authorization", "").partition(" ")
        scopes = tokens.scopes(token.strip()) if scheme.lower() == "bearer" else frozenset()
        if not scopes:
            return 401, "send a token: `Authorization: Bearer TOKEN`"
        needed = "read" if method in {"GET", "HEAD"} or path in _READS else "write"
        return None if needed in scopes else (403, "this token may read only; use one that may write")

    def _same_site(self, method: str, headers: dict[bytes, str]) -> tuple[int, str] | None:
        """Refuse what a page of another site has a browser send."""
        if method in {"GET", "HEAD", "OPTIONS"}:
            return None
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        host = headers.get(b"host", "")
        foreign = origin is not None and origin.partition("://")[2] != host
        if (foreign or site in {"cross-site", "same-site"}) and origin not in self._settings.origins:
            return 403, "a page of another site can't do this"
        return None

    # ------------------------------------------------------------------ how much

    def _too_large(self) -> str:
        return f"more than {self._settings.limits.body:,} bytes; send it in parts"

    def _limited(self, receive: Receive) -> Receive:
        """A body whose length nobody announced is counted while it comes."""
        total = 0

        async def receiving() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._settings.limits.body:
                raise HTTPException(413, self._too_large())
            return message

        return receiving

    # ------------------------------------------------------------------ the log

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", None) or "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.request(route, method, status, seconds)
        if access.isEnabledFor(logging.INFO):
            line = {
                "time": round(time.time(), 3),
                "route": route,
                "method": method,
                "status": status,
                "ms": round(seconds * 1000, 3),
                "request": request_id,
                "model": scope["state"].get("model"),
            }
            access.info(json.dumps(line))


_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}


def _cached(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"cache-control" for name, _ in headers)


def int_of(text: str) -> int:
    """A number of bytes; what is none counts as 0, and the body is counted anyway."""
    return int(text) if text.isascii() and text.isdigit() else 0
