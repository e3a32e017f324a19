"""The page for people at /: search, rate, see the list change, read why. HTML fragments for htmx.

Who somebody is says a cookie with a random id, signed, so that nobody can name another's. Where the server
has tokens, a token opens the page, too.
"""

import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

import jinja2
import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from refeed.errors import DataError, UnknownIdError
from refeed.serve.lines import By, Line
from refeed.serve.lineup import Served
from refeed.serve.problems import TITLES
from refeed.serve.report import ModelReport, report_of
from refeed.serve.service import Filters, Person, Service, Wish
from refeed.serve.titles import pretty, year_of
from refeed.serve.view import Scale, coded, described_operations, shown_line

__all__ = ["page_routes", "shown_fault"]

_HERE = Path(__file__).parent
_PERSON, _SESSION = "refeed_person", "refeed_session"
_YEAR = 365 * 24 * 3600
_SESSION_SECONDS = 12 * 3600
_STARTERS = 12


@dataclass(frozen=True)
class Wanted:
    """The filters of the list, as its form sends them.

    Args:
        support: the fewest ratings of an item.
        year_from: the first year, "" for any.
        year_to: the last.
        by: what the list is ranked by.
        within: name of a list, "" for all items.
        count: how many lines.
    """

    support: int = 0
    year_from: str = ""
    year_to: str = ""
    by: By | None = None
    within: str = ""
    count: int = 12

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "Wanted":
        """From an address or a form; what makes no sense counts as not given."""
        support, count = fields.get("support", ""), fields.get("count", "")
        return cls(
            support=int(support) if support.isdecimal() and len(support) < 10 else 0,
            year_from=fields.get("year_from", "").strip()[:6],
            year_to=fields.get("year_to", "").strip()[:6],
            by="rating" if fields.get("by") == "rating" else None,
            within=fields.get("within", "")[:100],
            count=min(max(int(count), 1), 120) if count.isdecimal() and len(count) < 4 else 12,
        )


async def _fields(request: Request) -> dict[str, str]:
    """What a form sends; of a field that is there twice the last."""
    body = (await request.body()).decode("utf-8", "replace")
    return {name: value[-1] for name, value in parse_qs(body, keep_blank_values=True).items()}


@lru_cache(1)
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    made.filters["coded"] = coded
    made.trim_blocks = made.lstrip_blocks = True
    return made


def page_routes(service: Service, openapi: Callable[[], Mapping[str, Any]]) -> APIRouter:  # noqa: C901, PLR0915
    """The routes of the page; they are no part of the OpenAPI document."""
    routes = APIRouter(include_in_schema=False)
    page = _Page(service)

    @routes.get("/")
    async def home(request: Request) -> Response:
        person, is_new = page.person(request)
        if not page.signed_in(request):
            return page.html("login.html", request, wrong=False)
        context = await page.everything(person, Wanted())
        answer = page.html("home.html", request, tab="home", **context)
        if is_new:
            page.remember(answer, person)
        return answer

    @routes.post("/page/login")
    async def login(request: Request) -> Response:
        token = (await _fields(request)).get("token", "")
        tokens = service.settings.tokens
        if tokens is None or "write" not in tokens.scopes(token.strip()):
            answer = page.html("login.html", request, wrong=True)
            answer.status_code = 401
            return answer
        done = RedirectResponse("/", 303)
        until = str(int(time.time()) + _SESSION_SECONDS)
        done.set_cookie(
            _SESSION, page.signed(until), max_age=_SESSION_SECONDS, httponly=True, samesite="strict"
        )
        return done

    @routes.get("/page/search")
    async def search(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
        person = page.known(request)
        served = service.lineup.pick(person)
        found = served.titles.find(q, 8) if q.strip() else []
        rated = await run_in_threadpool(service.store.ratings, person) if found else {}
        return page.html(
            "_found.html", request, found=page.items(served, found, rated), query=q, scale=page.scale(served)
        )

    @routes.get("/page/list")
    async def list_(request: Request) -> Response:
        wanted = Wanted.of(request.query_params)
        return page.html("_list.html", request, **await page.everything(page.known(request), wanted))

    @routes.post("/page/rate")
    async def rate(request: Request) -> Response:
        person, fields = page.known(request), await _fields(request)
        wanted, item, rating = Wanted.of(fields), fields.get("item", ""), _number(fields.get("rating", ""))
        engine = service.lineup.pick(person).engine
        at = service.position(engine, item)
        await run_in_threadpool(service.rate, engine, person, {engine.loaded.items.ids[at]: rating})
        message = f"You gave {pretty(engine.catalogue.title(at) or item)} {rating:g}"
        return page.html("_changed.html", request, **await page.everything(person, wanted, message))

    @routes.post("/page/unrate")
    async def unrate(request: Request) -> Response:
        person, fields = page.known(request), await _fields(request)
        wanted = Wanted.of(fields)
        await run_in_threadpool(service.store.clear, person, fields.get("item", "")[:512])
        return page.html("_changed.html", request, **await page.everything(person, wanted, "Rating removed"))

    @routes.post("/page/dismiss")
    async def dismiss(request: Request) -> Response:
        person, fields = page.known(request), await _fields(request)
        wanted, undo = Wanted.of(fields), bool(fields.get("undo"))
        engine = service.lineup.pick(person).engine
        kind = "restored" if undo else "dismissed"
        raw = engine.loaded.items.ids[service.position(engine, fields.get("item", ""))]
        await run_in_threadpool(lambda: service.store.log(person, [raw], kind, model=engine.model))
        service.metrics.event(kind, engine.name, 1)
        message = "It may be listed again" if undo else "It will not be listed again"
        return page.html("_changed.html", request, **await page.everything(person, wanted, message))

    @routes.post("/page/forget")
    async def forget(request: Request) -> Response:
        await run_in_threadpool(service.forget, page.known(request))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(_PERSON)
        return answer

    @routes.get("/model")
    async def model(request: Request) -> Response:
        page.known(request)
        served = service.lineup.served()
        name = request.query_params.get("name") or next(iter(served))
        if name not in served:
            raise HTTPException(404, "no model has this name")
        return page.html(
            "model.html", request, tab="model", name=name, names=list(served), engine=served[name][0].engine
        )

    @routes.get("/page/report")
    async def report(request: Request, name: Annotated[str, Query(max_length=100)]) -> Response:
        page.known(request)
        served = service.lineup.pick(name=name)
        found = await run_in_threadpool(page.report, served)
        return page.html("_report.html", request, report=found, engine=served.engine)

    @routes.get("/api")
    async def api(request: Request) -> Response:
        page.known(request)
        return page.html(
            "api.html",
            request,
            tab="api",
            base=str(request.base_url).rstrip("/"),
            guarded=service.settings.tokens is not None,
        )

    @routes.get("/docs")
    async def docs(request: Request) -> Response:
        page.known(request)
        return page.html("docs.html", request, tab="api", operations=described_operations(openapi()))

    routes.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    return routes


def shown_fault(request: Request, status: int, detail: str) -> Response | None:
    """A page about what went wrong, for browsers that open an address; None for programs."""
    wants_page = "text/html" in request.headers.get("accept", "") and request.method in {"GET", "HEAD"}
    if not wants_page or request.url.path.startswith("/v1/") or "hx-request" in request.headers:
        return None
    text = (
        _templates()
        .get_template("fault.html")
        .render(
            theme=_theme(request),
            tab="",
            title=TITLES.get(status, "An error"),
            detail=detail,
            request_id=request.state.request_id,
        )
    )
    return HTMLResponse(text, status)


class _Page:
    """What the page's routes share."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reports: dict[str, ModelReport] = {}

    # ------------------------------------------------------------------ who

    def signed(self, text: str) -> str:
        """With a signature that only this server (and those on its database) can make."""
        return f"{text}.{self._service.store.digest(f'cookie {text}')[:32]}"

    def _verified(self, cookie: str | None) -> str | None:
        text, _, _ = (cookie or "").rpartition(".")
        return text if text and secrets.compare_digest(self.signed(text), cookie or "") else None

    def person(self, request: Request) -> tuple[str, bool]:
        """Who asks, and whether they are new."""
        known = self._verified(request.cookies.get(_PERSON))
        return (known, False) if known else (f"page-{secrets.token_urlsafe(12)}", True)

    def signed_in(self, request: Request) -> bool:
        """Whether the page is open to the sender."""
        if self._service.settings.tokens is None:
            return True
        until = self._verified(request.cookies.get(_SESSION))
        return until is not None and until.isdigit() and int(until) > time.time()

    def known(self, request: Request) -> str:
        """Who asks; strangers are sent to the start."""
        person, is_new = self.person(request)
        if not self.signed_in(request) or (
            is_new and request.url.path.startswith("/page/") and request.method == "POST"
        ):
            raise HTTPException(401, "open the page anew", {"HX-Redirect": "/"})
        return person

    def remember(self, answer: Response, person: str) -> None:
        """Set the cookie."""
        answer.set_cookie(_PERSON, self.signed(person), max_age=_YEAR, httponly=True, samesite="strict")

    # ------------------------------------------------------------------ what is shown

    def html(self, template: str, request: Request, **context: Any) -> HTMLResponse:
        """A page or a part of one."""
        context.setdefault("tab", "")
        text = (
            _templates()
            .get_template(template)
            .render(theme=_theme(request), guarded_page=self._service.settings.tokens is not None, **context)
        )
        return HTMLResponse(text)

    def scale(self, served: Served) -> Scale:
        """How ratings are given."""
        return Scale(*served.engine.scale, served.engine.step)

    def items(self, served: Served, positions: list[int], rated: Mapping[str, float]) -> list[dict[str, Any]]:
        """Items to rate."""
        engine = served.engine
        return [
            {
                "at": at,
                "item": engine.loaded.items.ids[at],
                "title": pretty(engine.catalogue.title(at) or engine.loaded.items.ids[at]),
                "year": year_of(engine.catalogue.title(at)),
                "rated": rated.get(engine.loaded.items.ids[at]),
            }
            for at in positions
        ]

    async def everything(self, person: str, wanted: Wanted, message: str = "") -> dict[str, Any]:
        """What the page shows of somebody."""
        service, served = self._service, self._service.lineup.pick(person)
        engine = served.engine
        error, lines = "", list[Line]()

        def ask_the_store() -> tuple[Person, dict[str, float], dict[str, int]]:
            return service.person(engine, person), service.store.ratings(person), service.facts.lists()

        somebody, ratings, lists = await run_in_threadpool(ask_the_store)
        try:
            filters = Filters(only_lists=[wanted.within] if wanted.within else None)
            mask, _ = await run_in_threadpool(service.candidates, engine, filters, somebody.hidden)
            mask = _filtered(served, mask, wanted)
            wish = Wish(k=wanted.count + 1, by=wanted.by, reasons=5)
            question, _ = service.question(
                engine, somebody.history, wish, candidates=mask, times=somebody.times
            )
            lines = await service.lines(served, question)
        except (
            DataError,
            UnknownIdError,
        ) as problem:  # of the filters: what the person rated is shown all the same
            error = str(problem)
        scale = self.scale(served)
        mine = list(reversed(ratings))
        positions = engine.catalogue.known_positions(mine)
        starters = []
        if not ratings:
            starters = self.items(served, served.titles.find("", _STARTERS), {})
        shown = [shown_line(engine, scale, line) for line in lines[: wanted.count]]
        return {
            "lines": shown,
            "more": len(lines) > wanted.count,
            "mine": self.items(served, [int(at) for at in positions if at >= 0], ratings),
            "dismissed": self.items(served, _known(engine, somebody.hidden), {}),
            "starters": starters,
            "scale": scale,
            "wanted": wanted,
            "lists": lists,
            "has_years": bool(served.years.any()),
            "ways": engine.by == "both",
            "message": message,
            "error": error,
            "engine": engine,
        }

    def report(self, served: Served) -> ModelReport:
        """Numbers and plots of a model; made once."""
        key = served.engine.model
        if key not in self._reports:
            self._reports.clear() if len(self._reports) > 8 else None
            self._reports[key] = report_of(served.engine)
        return self._reports[key]


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError("a rating is a number")
    return number


def _known(engine: Any, names: Any) -> list[int]:
    return [int(at) for at in engine.catalogue.known_positions(sorted(names)) if at >= 0]


def _theme(request: Request) -> str:
    theme = request.cookies.get("refeed_theme", "")
    return theme if theme in {"dark", "light"} else ""


def _filtered(served: Served, mask: Any, wanted: Wanted) -> Any:
    counts, years = served.engine.loaded.items.counts, served.years
    allowed = np.ones(len(counts), dtype=np.bool_) if mask is None else mask.copy()
    allowed &= counts >= wanted.support
    for text, later in ((wanted.year_from, True), (wanted.year_to, False)):
        if text.strip():
            if not text.strip().isdigit():
                raise DataError(f"{text!r} is no year; give one such as 1994")
            allowed &= (years >= int(text)) if later else ((years <= int(text)) & (years > 0))
    return allowed
