"""People's ratings: given, asked for, taken back, imported, forgotten; and what happened to what is shown."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from refeed.errors import DataError
from refeed.serve.bodies import (
    Event,
    Forgot,
    Id,
    Import,
    ImportCursor,
    Imported,
    Name,
    RatingsBody,
    RatingsOfUser,
    Stored,
)
from refeed.serve.problems import RESPONSES, problem
from refeed.serve.service import Service

__all__ = ["ratings_routes"]

UserPath = Annotated[Id, Path(description="A raw id of yours, verbatim.")]
NOTE = (
    "Nothing of this person is left in the database or in the training histories of these models. What "
    "the models learned from everybody, them included, stays until they are trained again; `refeed retrain` "
    "leaves them out."
)


def ratings_routes(service: Service) -> APIRouter:  # noqa: C901 - a function a route
    """The routes."""
    routes = APIRouter(tags=["ratings"], responses=RESPONSES)

    @routes.put("/v1/users/{user}/ratings")
    async def put_ratings(user: UserPath, body: RatingsBody, request: Request) -> Stored:
        """Take ratings by a person, all or none; they are on disk when this answers."""
        engine = service.lineup.pick(user).engine
        request.state.model = engine.model
        unknown = await run_in_threadpool(service.rate, engine, user, body)
        service.metrics.people(unknown=len(unknown), cold=False)
        return Stored(stored=len(body), unknown=unknown)

    @routes.get("/v1/users/{user}/ratings")
    async def get_ratings(user: UserPath) -> RatingsOfUser:
        """All that is known of a person."""
        engine = service.lineup.pick(user).engine

        def find() -> RatingsOfUser:
            return RatingsOfUser(
                ratings=service.store.ratings(user),
                trained_on={item: rating for item, (rating, _) in engine.trained_on(user).items()},
                not_interested=sorted(service.store.dismissed(user)),
            )

        return await run_in_threadpool(find)

    @routes.delete("/v1/users/{user}/ratings/{item:path}", status_code=204)
    async def delete_rating(user: UserPath, item: Annotated[Id, Path()]) -> Response:
        """Take a rating back, also one of the training: it counts no longer."""
        engine = service.lineup.pick(user).engine
        await run_in_threadpool(service.store.clear, user, service.item_id(engine, item))
        return Response(status_code=204)

    @routes.delete("/v1/users/{user}")
    async def forget(user: UserPath) -> Forgot:
        """Forget a person: ratings, events, and their training history, in the database and on disk."""
        done, histories = await run_in_threadpool(service.forget, user)
        return Forgot(ratings=done.ratings, events=done.activity, training_histories=histories, note=NOTE)

    @routes.post("/v1/imports/{name}", responses={409: RESPONSES_409})
    async def import_ratings(name: Annotated[Name, Path()], body: Import, request: Request) -> Any:
        """Take many ratings, and remember `cursor` with them in one step.

        A sender that was interrupted asks where the import is, and goes on there; nothing is taken twice.
        """
        if len(body.ratings) > service.settings.limits.many:
            raise DataError(
                f"{len(body.ratings):,} ratings; send at most {service.settings.limits.many:,} at once"
            )
        rows = [(row.user, row.item, float(row.rating), row.at) for row in body.ratings]

        def take() -> str | None:
            return service.store.import_rows(name, rows, after=body.after, cursor=body.cursor)

        stored = await run_in_threadpool(take)
        if stored == body.cursor:
            return Imported(cursor=stored, stored=len(rows))
        return problem(
            409,
            f"the import {name!r} is at {stored!r}, not at {body.after!r}; go on from there",
            request.state.request_id,
        )

    @routes.get("/v1/imports/{name}")
    async def get_import(name: Annotated[Name, Path()]) -> ImportCursor:
        """How far an import has come."""
        return ImportCursor(cursor=await run_in_threadpool(service.store.import_cursor, name))

    @routes.post("/v1/events")
    async def post_events(body: Event) -> Stored:
        """Note what was shown to a person, what they clicked, and what they are not interested in."""
        if len(body.items) > service.settings.limits.list_length:
            raise DataError(
                f"{len(body.items):,} items; send at most {service.settings.limits.list_length:,} at once"
            )
        engine = service.lineup.pick(body.user).engine
        items = [service.item_id(engine, item) for item in body.items]
        model = body.model or engine.model
        await run_in_threadpool(lambda: service.store.log(body.user, items, body.kind, model=model))
        # A name of the line-up, not what somebody wrote: there must not be a metric for each.
        name = model.partition("@")[0]
        known = name if name in service.lineup.served() else "other"
        service.metrics.event(body.kind, known, len(items))
        return Stored(stored=len(items), unknown=[])

    return routes


RESPONSES_409 = {**RESPONSES[422], "description": "The import is elsewhere."}
