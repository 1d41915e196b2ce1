"""The service: POST /predict, POST /labels, GET /metrics and /healthz."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException as HTTPError

from examples.iris import metrics, settings
from examples.iris.log import Label, Prediction, PredictionLog, UnreachableError
from examples.iris.model import train, version_for
from examples.iris.schema import Answer, Flower, Received, Truths
from examples.iris.spool import Spool, SpoolFullError

MODEL = "iris"
_log = logging.getLogger(__name__)
_PREDICT_BYTES, _LABELS_BYTES = 4 * 2**10, 256 * 2**10
_REPLAY_SECONDS = 1.0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Train the models, open the log, and see to its spool as long as the service runs."""
    found = settings.from_environment()
    spool = Spool(found.spool, found.spool_bytes)
    app.state.canary_share, app.state.models = found.canary_share, train()
    app.state.spool, app.state.log = spool, PredictionLog(found.database_url, MODEL, spool)
    metrics.tell(app.state.models.values())
    replaying = asyncio.create_task(_replay(app.state.log))
    yield
    replaying.cancel()
    app.state.log.close()


async def _replay(log: PredictionLog) -> None:
    while True:
        try:
            await run_in_threadpool(log.replay)
        except Exception:  # noqa: BLE001  (the next one may succeed, and nobody else would try)
            _log.exception("the spool could not be replayed")
        await asyncio.sleep(_REPLAY_SECONDS)


class LoggedRoute(APIRoute):
    """Each request of such a route leaves one row in the prediction log, whatever becomes of it.

    The endpoint finds the row in `request.state.row` and fills it in. As long as it did not, the request has failed.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual handler, between the beginning of a row and its writing."""
        handle = super().get_route_handler()

        async def logged(request: Request) -> Response:
            started = time.perf_counter()
            row = request.state.row = _row(request.app)
            try:
                return await _answered(handle, request, row)
            finally:
                row.latency_seconds = time.perf_counter() - started
                await _write(request.app, row)
                metrics.LATENCY.labels(row.model_version).observe(time.perf_counter() - started)

        return logged


def _row(app: FastAPI) -> Prediction:
    request_id = uuid4().hex
    version = version_for(request_id, app.state.canary_share)
    return Prediction(MODEL, request_id, datetime.now(UTC).replace(tzinfo=None), version)


async def _answered(handle: Callable[[Request], Awaitable[Response]], request: Request, row: Prediction) -> Response:
    try:
        return await handle(request)
    except Exception as error:
        metrics.ERRORS.labels(row.model_version, _reason(error)).inc()
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):  # FastAPI's own is one of these, and not all are of its own
        return "too_large" if error.status_code == 413 else "invalid"  # noqa: PLR2004
    return "invalid" if isinstance(error, RequestValidationError) else "model"


async def _write(app: FastAPI, row: Prediction) -> None:
    try:
        stored = await run_in_threadpool(app.state.log.write, row)
    except SpoolFullError as error:
        metrics.ERRORS.labels(row.model_version, "unlogged").inc()
        detail = "The prediction log cannot be reached and its spool is full. Nothing is served that cannot be logged."
        raise HTTPException(503, detail, {"Retry-After": "1"}) from error
    if not stored:
        metrics.SPOOLED.inc()
    if row.prediction is not None:
        metrics.PREDICTIONS.labels(row.model_version, row.prediction).inc()


predictions = APIRouter(route_class=LoggedRoute)


@predictions.post("/predict", max_body_size=_PREDICT_BYTES)
def predict(request: Request, flower: Flower) -> Answer:
    """Classify a flower. The answer's `request_id` is the key for the label that comes later."""
    row: Prediction = request.state.row
    row.country, row.device = flower.country, flower.device
    row.prediction, row.score = request.app.state.models[row.model_version].predict(flower.features)
    return Answer.model_validate({
        "request_id": row.request_id, "model_version": row.model_version,
        "class": row.prediction, "probability": row.score,
    })  # fmt: skip


app = FastAPI(title="Iris", summary="Two versions of a classifier, with the logs that evaljob reads", lifespan=lifespan)
app.include_router(predictions)


@app.post("/labels", max_body_size=_LABELS_BYTES)
def labels(request: Request, truths: Truths) -> Received:
    """Tell the truth about earlier requests, one or up to 1000. Sending it again changes nothing."""
    try:
        counts = request.app.state.log.label([Label(**truth.model_dump()) for truth in truths])
    except UnreachableError as error:
        detail = "The label log cannot be reached. No label of this request is stored; send it again."
        raise HTTPException(503, detail, {"Retry-After": "1"}) from error
    for outcome in metrics.OUTCOMES:
        metrics.LABELS.labels(outcome).inc(counts[outcome])
    return Received(**{outcome: counts[outcome] for outcome in metrics.OUTCOMES})


@app.get("/metrics", include_in_schema=False)
def exposed(request: Request) -> Response:
    """The sum over all worker processes, in Prometheus' text format."""
    metrics.SPOOL_BYTES.set(request.app.state.spool.size)
    return Response(generate_latest(metrics.registry()), media_type=CONTENT_TYPE_LATEST)


@app.get("/healthz")
def healthz(request: Request) -> dict[str, bool]:
    """The service answers. While the log is not available it serves all the same, and rows wait in the spool."""
    return {"log_available": request.app.state.log.available}


@app.exception_handler(RequestValidationError)
async def refused(request: Request, error: RequestValidationError) -> JSONResponse:
    """422 without the value that was refused: it may be NaN, which JSON cannot say."""
    told = ("loc", "type", "msg")
    detail = [{"field": _field(found), **{key: found[key] for key in told}} for found in error.errors()]
    row = getattr(request.state, "row", None)
    return JSONResponse({"detail": detail} | ({"request_id": row.request_id} if row else {}), 422)


def _field(found: dict[str, Any]) -> str:
    if found["type"] == "json_invalid":
        return "body"
    return ".".join(str(part) for part in found["loc"][1:]) or "body"
