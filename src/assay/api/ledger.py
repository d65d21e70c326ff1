"""`POST /api/ledger/FUNCTION`: functions of the ledger, for commands where `hub.url` is set.

See `assay.ledger.askable` for which there are. Arguments and answer are MessagePack.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from assay.api import looking
from assay.api.bodies import read
from assay.api.mlflow import arrivals, errors
from assay.api.mlflow.calls import call
from assay.base.errors import Error
from assay.ledger import askable
from assay.ledger.askable import Answer, Refusal
from assay.ledger.committer import Full
from assay.ledger.sinks import Unavailable

if TYPE_CHECKING:
    from starlette.requests import Request

    from assay.api.hub import Hub

MODULES = (
    "assay.ledger.alerts",
    "assay.ledger.decisions",
    "assay.ledger.deleting",
    "assay.ledger.deployments",
    "assay.ledger.lineage",
    "assay.ledger.listing",
    "assay.ledger.models",
    "assay.ledger.runs",
    "assay.pipeline.reproduction.find",
    "assay.trace.labels",
    "assay.trace.reading",
    "assay.trace.run_facts",
)
"""All modules with functions that can be asked for."""

_MSGPACK = "application/msgpack"


class OfFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function by its module and name."""

    function: str


@call("POST", "/api/ledger/{function}", version=None)
async def post(hub: Hub, ask: OfFunction, request: Request) -> Response:
    """Call a function on the hub's ledger."""
    if request.headers.get("content-type") != _MSGPACK:
        raise errors.invalid(f"The header 'Content-Type' has to be '{_MSGPACK}'")
    body = await read(request, limit=hub.limits.body)
    answer = await arrivals.in_thread(hub, _answer, hub, ask.function, body)
    return Response(msgspec.msgpack.encode(answer), media_type=_MSGPACK)


def _answer(hub: Hub, function: str, body: bytes) -> Answer:
    for module in MODULES:
        importlib.import_module(module)
    looking.look(hub)
    try:
        return Answer(value=msgspec.Raw(askable.answer(hub.ledger, function, body)))
    except (Full, Unavailable):
        raise
    except Error as error:
        if errors.is_kept_back(error) and error.where == hub.ledger.name:
            raise
        return Answer(refused=Refusal.of(error))
