"""Lists, predictions and reasons: for somebody by their ratings, and for people of the store."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic_core import to_json

from refeed.errors import DataError
from refeed.serve.bodies import (
    Explain,
    Explained,
    Id,
    Name,
    Predict,
    Predicted,
    Recommend,
    Recommended,
)
from refeed.serve.lineup import Served
from refeed.serve.problems import RESPONSES
from refeed.serve.service import Filters, Service, Wish, parsed_where

__all__ = ["people_routes"]


def answered(request: Request, served: Served, content: Mapping[str, object]) -> Response:
    """An answer of one model, named in it; what is in it was made by us and needs no validation."""
    request.state.model = served.engine.model
    body = {"model": served.engine.model, **content}
    return Response(to_json(body), media_type="application/json")


def people_routes(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["recommendations"], responses=RESPONSES)

    @routes.post("/v1/recommend", response_model=Recommended, response_model_exclude_none=True)
    async def recommend(body: Recommend, request: Request) -> Any:
        """The best items for somebody, given by what they rated; many at once by `histories`.

        Nothing is stored. Without a history it is what the model has for everybody.
        """
        served = service.lineup.pick(body.user, body.model)
        wish = Wish(body.k, body.offset, body.by, body.include_seen, body.liked, body.because)
        service.check_length(wish)
        filters = Filters.of(body)
        if filters.asks_the_store:
            mask, unknown = await run_in_threadpool(service.candidates, served.engine, filters)
        else:
            mask, unknown = service.candidates(served.engine, filters)
        histories = _histories(body)
        asked = [service.question(served.engine, one, wish, candidates=mask) for one in histories]
        answers = await service.batcher.ask(served.engine, [question for question, _ in asked])
        results = [
            {"items": answer.lines, "unknown": list(dict.fromkeys([*missing, *unknown]))}
            for answer, (_, missing) in zip(answers, asked, strict=True)
        ]
        return answered(request, served, results[0] if body.histories is None else {"results": results})

    @routes.post("/v1/predict", response_model=Predicted)
    async def predict(body: Predict, request: Request) -> Any:
        """What somebody would rate some items, in the order of `items`."""
        served = service.lineup.pick(body.user, body.model)
        service.check_length(Wish(k=len(body.items)))
        wish = Wish(liked=body.liked, reasons=body.because)
        question, unknown = service.question(served.engine, body.history or {}, wish, asked=body.items)
        lines = await service.lines(served, question)
        return answered(request, served, {"items": lines, "unknown": unknown})

    @routes.post("/v1/explain", response_model=Explained)
    async def explain(body: Explain, request: Request) -> Any:
        """Why a prediction is what it is: the item's level, and what each rating adds to it."""
        served = service.lineup.pick(body.user, body.model)
        service.position(served.engine, body.item)
        wish = Wish(liked=body.liked, reasons=-1)
        question, unknown = service.question(served.engine, body.history or {}, wish, asked=[body.item])
        (line,) = await service.lines(served, question)
        total = (
            None
            if line["rating"] is None or line["level"] is None
            else line["level"] + sum(one["adds"] for one in line["because"])
        )
        return answered(request, served, {**line, "prediction": total, "unknown": unknown})

    @routes.get(
        "/v1/users/{user}/recommendations", response_model=Recommended, response_model_exclude_none=True
    )
    async def of_user(
        user: Annotated[Id, Path()],
        request: Request,
        k: Annotated[int, Query(ge=1, le=1_000_000)] = 10,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        by: Literal["both", "rating", "interaction"] | None = None,
        liked: Annotated[float | None, Query(allow_inf_nan=False)] = None,
        because: Annotated[int, Query(ge=0, le=50)] = 3,
        only: Annotated[list[Id] | None, Query()] = None,
        exclude: Annotated[list[Id] | None, Query()] = None,
        only_list: Annotated[list[Name] | None, Query()] = None,
        exclude_list: Annotated[list[Name] | None, Query()] = None,
        where: Annotated[
            str | None,
            Query(max_length=4_000, description='As JSON: `{"genre": "Drama", "year": {"min": 1990}}`.'),
        ] = None,
        exclude_shown_since: Annotated[
            int | None, Query(ge=0, le=1 << 40, description="Unix seconds.")
        ] = None,
        model: Name | None = None,
    ) -> Any:
        """The best items for a person of the store, or of the training: a new rating counts at once."""
        served = service.lineup.pick(user, model)
        wish = Wish(k, offset, by, liked=liked, reasons=because)
        service.check_length(wish)
        filters = Filters(only, exclude or (), only_list, exclude_list or (), parsed_where(where))

        def ask_the_store() -> tuple[Any, Any]:
            person = service.person(served.engine, user, exclude_shown_since)
            return person, service.candidates(served.engine, filters, person.hidden)

        person, (mask, named) = await run_in_threadpool(ask_the_store)
        question, unknown = service.question(
            served.engine, person.history, wish, candidates=mask, times=person.times
        )
        lines = await service.lines(served, question)
        return answered(request, served, {"items": lines, "unknown": [*unknown, *named]})

    return routes


def _histories(body: Recommend) -> Sequence[Any]:
    if body.histories is None:
        return [body.history or {}]
    if body.history is not None:
        raise DataError("history and histories exclude each other; give one of them")
    if len(body.histories) > 256:
        raise DataError(f"{len(body.histories)} histories; at most 256 are answered at once")
    return body.histories
