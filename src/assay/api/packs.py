"""`POST /api/packs`: the records of runs that have ended, as `assay push` sends them to a remote.

The objects that they name come before, by `PUT /api/objects/sha256/…`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from assay.api.bodies import read
from assay.api.mlflow import arrivals, errors
from assay.api.mlflow.calls import call
from assay.api.records import Nothing, OfRun
from assay.base.clock import now_ms
from assay.ledger.exchange import gathering, packs
from assay.ledger.exchange.loading import Loader
from assay.ledger.exchange.packs import Taken

if TYPE_CHECKING:
    from starlette.requests import Request

    from assay.api.hub import Hub

_GZIP = "application/gzip"
_LONGEST = 256 << 20  # bytes of a record: some million points
_UNPACKED = 8  # times the limit of a body, for all records of a pack


@call("POST", "/api/packs", version=None)
async def post(hub: Hub, _ask: Nothing, request: Request) -> Taken:
    """Unite the records with those that are here."""
    if request.headers.get("content-type") != _GZIP:
        raise errors.invalid(f"The header 'Content-Type' has to be '{_GZIP}'")
    body = await read(request, limit=hub.limits.body)
    return await arrivals.in_thread(hub, _load, hub, body)


@call("GET", "/api/packs/{run}", version=None)
def get(hub: Hub, ask: OfRun) -> Response:
    """Answer with the records of a run and of all that it is a part of."""
    with tempfile.TemporaryDirectory(prefix="assay-pack-") as folder:
        path = Path(folder) / "pack"
        with hub.ledger.read() as connection:
            ids = gathering.family(connection, ask.run)
            if not ids:
                raise errors.missing(f"There is no record of the run {ask.run}, or it goes on")
            packs.write(path, gathering.records(connection, ids, []))
        return Response(path.read_bytes(), media_type=_GZIP)


def _load(hub: Hub, body: bytes) -> Taken:
    complaints: list[str] = []
    with tempfile.TemporaryDirectory(prefix="assay-pack-") as folder:
        path = Path(folder) / "pack"
        path.write_bytes(body)
        loader = Loader(hub.ledger, at=now_ms())
        found = packs.read(
            path,
            where="the pack",
            complaints=complaints,
            longest=_LONGEST,
            most=_UNPACKED * hub.limits.body,
        )
        try:
            loader.add(found)
        except packs.PackTooLarge as error:
            raise errors.Refused(
                "INVALID_PARAMETER_VALUE", error.what, status=413, hint=error.hint
            ) from None
        done = loader.finish()
    runs = {*done.new, *done.new_models, *done.changed}
    return Taken(runs=len(runs - done.parts), refused=[*complaints, *done.refused])
