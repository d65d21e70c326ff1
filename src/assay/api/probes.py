"""What tells that the hub is there, what it is, and what it counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import PlainTextResponse, Response

from assay.api import addresses, front
from assay.api.mlflow.calls import call

if TYPE_CHECKING:
    from starlette.requests import Request

    from assay.api.hub import Hub

MLFLOW_VERSION = "3.17.2"
"""The version of MLflow whose protocol is spoken, not our own: its client asks before it sends
traces, to see whether the server is new enough."""

SERVER_INFO: dict[str, Any] = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
    "artifact_serving_enabled": True,
    "artifacts_presigned_only": False,
    "presigned_upload_run_id_supported": False,
    "presigned_upload_model_id_supported": False,
    "model_artifact_presigned_downloads_supported": False,
    "tracking_auth": "",
    "features_enabled": {"gateway": False, "scheduled_issue_detection": False},
    "skill_content_max_size": 0,
    "skill_content_max_files": 0,
}
"""What MLflow's client asks once a process, before it moves artifacts."""


class Nothing(msgspec.Struct, frozen=True):
    """A request without fields."""


@call("GET", "/", version=None)
async def index(hub: Hub, _ask: Nothing, request: Request) -> Response:
    """Answer a person who looks whether this is the right address."""
    here = addresses.origin(request)
    if "text/html" in request.headers.get("accept", ""):
        counts = await asyncio.get_running_loop().run_in_executor(hub.threads, _counted, hub)
        return front.page(here, counts, protocol=MLFLOW_VERSION)
    return PlainTextResponse(
        f"This is a hub of Assay, for MLflow's clients and Assay's.\n\n"
        f"  export MLFLOW_TRACKING_URI={here}\n  assay config hub.url {here}\n\n"
        "/health says whether it answers, /metrics is for Prometheus.\n",
        headers={"Vary": "Accept"},
    )


def _counted(hub: Hub) -> dict[str, int]:
    """Return how many there are that are not deleted."""
    from sqlalchemy import func, select

    from assay.ledger.tables import experiment, model, run

    tables = {"experiments": experiment, "runs": run, "registered models and prompts": model}
    numbers = [
        select(func.count()).select_from(table).where(table.c.deleted.is_(None)).scalar_subquery()
        for table in tables.values()
    ]
    with hub.ledger.read() as connection:
        return dict(zip(tables, connection.execute(select(*numbers)).one(), strict=True))


@call("GET", "/health", version=None)
async def health(_hub: Hub, _ask: Nothing, _request: Request) -> Response:
    """Answer that this process answers."""
    return PlainTextResponse("OK")


@call("GET", "/version", version=None)
async def version(_hub: Hub, _ask: Nothing, _request: Request) -> Response:
    """Answer which protocol is spoken."""
    return PlainTextResponse(MLFLOW_VERSION)


@call("GET", "/mlflow/server-info", version="3.0")
async def server_info(_hub: Hub, _ask: Nothing, _request: Request) -> dict[str, Any]:
    """Answer what MLflow's client may use."""
    return SERVER_INFO


@call("GET", "/metrics", version=None)
async def metrics(hub: Hub, _ask: Nothing, _request: Request) -> Response:
    """Answer what was counted, for Prometheus."""
    return Response(hub.scrape(), media_type="text/plain; version=0.0.4")
