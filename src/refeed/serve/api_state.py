"""The server itself: whether it is alive and ready, what it measures, and which models it serves."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from refeed.serve.bodies import Health, ModelBody, ModelFacts, Models
from refeed.serve.lineup import Served
from refeed.serve.problems import RESPONSES, problem
from refeed.serve.service import Service

__all__ = ["state_routes"]


def state_routes(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["server"], responses=RESPONSES)

    @routes.get("/health/live")
    async def live() -> Health:
        """The process answers."""
        return Health(status="ok")

    @routes.get("/health/ready")
    async def ready(request: Request) -> Any:
        """Models are loaded, the database answers, and the queue has room."""
        await run_in_threadpool(service.store.last_event)
        if len(service.batcher) >= service.settings.limits.queue:
            return problem(503, "the queue is full; try again in a second", request.state.request_id)
        return Health(status="ok")

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Measurements, as Prometheus reads them."""
        text = service.metrics.text(len(service.batcher))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/v1/model")
    async def get_models() -> Models:
        """The models that are served, and their shares of the people."""
        served = service.lineup.served()
        return Models(models={name: _facts(*pair) for name, pair in served.items()})

    @routes.put("/v1/model")
    async def put_model(body: ModelBody) -> ModelFacts:
        """Load a model's folder again, or another one beside it, and serve it from then on.

        No answer fails or mixes two models; where the folder can't be used, the old model goes on.
        """
        await run_in_threadpool(service.lineup.swap, body.model, body.run)
        return _facts(*service.lineup.served()[body.model])

    return routes


def _facts(served: Served, share: float) -> ModelFacts:
    engine = served.engine
    return ModelFacts(
        model=engine.model,
        kind=engine.loaded.kind,
        share=share,
        items=len(engine.loaded.items.ids),
        scale=list(engine.scale),
        step=engine.step,
        liked=engine.liked,
    )
