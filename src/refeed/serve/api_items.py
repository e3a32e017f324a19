"""Items: found by words, looked up, compared; lists of them, and attributes to filter by."""

import math
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from refeed.errors import DataError, UnknownIdError
from refeed.serve.bodies import (
    Attributes,
    Id,
    ItemFound,
    ItemsFound,
    ListBody,
    Lists,
    Name,
    Similar,
    SimilarItem,
    Stored,
)
from refeed.serve.engine import Engine
from refeed.serve.problems import RESPONSES
from refeed.serve.service import Service

__all__ = ["item_routes"]

ItemPath = Annotated[Id, Path(description="A raw id, or a whole title.")]


def item_routes(service: Service) -> APIRouter:  # noqa: C901 - a function a route
    """The routes."""
    routes = APIRouter(tags=["items"], responses=RESPONSES)

    @routes.get("/v1/items")
    async def find_items(
        query: Annotated[
            str, Query(max_length=200, description="Beginnings of words; accents don't matter.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        model: Name | None = None,
    ) -> ItemsFound:
        """Items whose titles have words that begin so, the best known first."""
        served = service.lineup.pick(None, model)
        found = served.titles.find(query, limit, offset)
        return ItemsFound(
            model=served.engine.model, items=[_found(served.engine, position) for position in found]
        )

    @routes.put("/v1/items/{item:path}/attributes")
    async def put_attributes(item: ItemPath, body: Attributes) -> Stored:
        """Replace what is known of an item, to filter by in `where`."""
        if sum(len(value) if isinstance(value, list) else 1 for value in body.values()) > 200:
            raise DataError("an item has at most 200 attributes")
        engine = service.lineup.pick().engine
        raw = service.item_id(engine, item)
        await run_in_threadpool(service.facts.put_attributes, raw, body)
        return Stored(stored=len(body), unknown=[] if raw in engine.loaded.items.ids else [item])

    @routes.get("/v1/items/{item:path}/similar")
    async def similar(
        item: ItemPath, k: Annotated[int, Query(ge=1, le=1_000)] = 10, model: Name | None = None
    ) -> Similar:
        """The items most like one."""
        engine = service.lineup.pick(None, model).engine
        position = service.position(engine, item)
        found = await run_in_threadpool(engine.similar, position, k)
        return Similar(
            model=engine.model,
            items=[
                SimilarItem(
                    item=engine.loaded.items.ids[at],
                    title=engine.catalogue.title(at),
                    similarity=min(1.0, max(-1.0, cosine)),
                )
                for at, cosine in found
            ],
        )

    @routes.get("/v1/items/{item:path}")
    async def get_item(item: ItemPath, model: Name | None = None) -> ItemFound:
        """One item."""
        engine = service.lineup.pick(None, model).engine
        found = _found(engine, service.position(engine, item))
        found.attributes = await run_in_threadpool(service.facts.attributes_of, found.item)
        return found

    @routes.get("/v1/lists")
    async def get_lists() -> Lists:
        """The named lists."""
        return Lists(lists=await run_in_threadpool(service.facts.lists))

    @routes.put("/v1/lists/{name}")
    async def put_list(name: Annotated[Name, Path()], body: ListBody) -> Stored:
        """Make a list, or replace it: for `only_lists` and `exclude_lists`."""
        if len(body.items) > 100_000:
            raise DataError("a list has at most 100,000 items")
        engine = service.lineup.pick().engine
        raw = [service.item_id(engine, item) for item in body.items]
        await run_in_threadpool(service.facts.put_list, name, raw)
        return Stored(
            stored=len(set(raw)), unknown=[item for item in raw if item not in engine.loaded.items.ids]
        )

    @routes.delete("/v1/lists/{name}", status_code=204)
    async def delete_list(name: Annotated[Name, Path()]) -> Response:
        """Remove a list."""
        if not await run_in_threadpool(service.facts.delete_list, name):
            raise UnknownIdError(f"there is no list {name!r}")
        return Response(status_code=204)

    return routes


def _found(engine: Engine, position: int) -> ItemFound:
    mean = float(engine.loaded.items.means[position])
    return ItemFound(
        item=engine.loaded.items.ids[position],
        title=engine.catalogue.title(position),
        ratings=int(engine.loaded.items.counts[position]),
        mean=None if math.isnan(mean) else mean,
    )
