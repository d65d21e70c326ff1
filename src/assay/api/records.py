"""What `assay.run()` sends to a hub: batches of operations, and the files that they name.

    POST /api/records                     {"sender", "number", "operations": [{"do": ...}, ...]}
    GET  /api/records/{run}               what is known of a run, to go on with it
    GET  /api/records/{run}/artifacts     the files that it keeps
    PUT, GET, HEAD /api/objects/sha256/…  a file by its content

The operations are those of `assay.ledger.operations`. A batch that comes twice is applied once.
A file is stored when all of it is there and has the hash that it was sent under.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from assay.api.bodies import read
from assay.api.mlflow import arrivals, sending
from assay.api.mlflow.calls import call
from assay.api.mlflow.errors import invalid, missing
from assay.base.clock import now_ms
from assay.ledger import forms, operations, resumed
from assay.ledger.artifacts import Kept
from assay.ledger.operations import AddArtifacts, Batch, Refusal, StartRun
from assay.ledger.resumed import Known
from assay.ledger.writer import Artifact, Untracked
from assay.objects.receiving import Arriving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from starlette.requests import Request

    from assay.api.hub import Hub
    from assay.ledger.operations import Operation

_OID = re.compile(r"[0-9a-f]{64}")


class Nothing(msgspec.Struct, frozen=True):
    """A request whose body is read by itself."""


class OfRun(msgspec.Struct, frozen=True, kw_only=True):
    """A question for a run."""

    run: str


class FilesOfRun(msgspec.Struct, frozen=True, kw_only=True):
    """A question for the files of a run."""

    run: str
    path: str = ""


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Files of a run."""

    artifacts: list[Artifact]


class OfObject(msgspec.Struct, frozen=True, kw_only=True):
    """A file by its content."""

    oid: str


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: all of it was written but what is refused for good."""

    refused: list[Refusal]


@call("POST", "/api/records", version=None)
async def post(hub: Hub, _ask: Nothing, request: Request) -> Applied:
    """Write a batch, all of it or nothing."""
    body = await read(request, limit=hub.limits.body)
    batch, problems = await arrivals.in_thread(hub, _checked_batch, hub, body)

    def work(connection: Connection) -> list[Refusal]:
        return operations.apply(connection, batch, at=now_ms(), problems=problems)

    refused = await asyncio.wrap_future(hub.committer.submit(work))
    return Applied(refused=refused)


@call("GET", "/api/records/{run}", version=None)
def find(hub: Hub, ask: OfRun) -> Known:
    """Tell what is known of a run."""
    with hub.ledger.read() as connection:
        return resumed.known(connection, ask.run, at=now_ms())


@call("GET", "/api/records/{run}/artifacts", version=None)
def artifacts(hub: Hub, ask: FilesOfRun) -> Files:
    """Tell which files a run keeps at a path or below it."""
    with hub.ledger.read() as connection:
        return Files(artifacts=resumed.artifacts(connection, ask.run, ask.path.strip("/")))


@call("PUT", "/api/objects/sha256/{oid}", version=None)
async def put(hub: Hub, ask: OfObject, request: Request) -> Response:
    """Keep the body under the hash of its content."""
    wanted = _checked(ask.oid)

    def keep(_: None, arrived: Arriving) -> None:
        if arrived.hexdigest() != wanted:
            raise invalid(
                f"The body has the SHA-256 {arrived.hexdigest()}; it was sent as {wanted}. "
                "Nothing was stored; send it again"
            )
        arrived.finish()

    await arrivals.take(hub, request, lambda: None, keep)
    return Response(status_code=204)


@call("GET", "/api/objects/sha256/{oid}", version=None)
async def get(hub: Hub, ask: OfObject, request: Request) -> Response:
    """Answer with a file by its content; to HEAD with whether it is there."""
    oid = _checked(ask.oid)
    kept = await arrivals.in_thread(hub, _kept, hub, oid)
    if request.method == "HEAD":
        await arrivals.in_thread(hub, _touch, hub, oid)
        return Response(headers={"Content-Length": str(kept.size)})
    return await arrivals.in_thread(hub, sending.FileAnswer.of, hub, kept, oid)


def _kept(hub: Hub, oid: str) -> Kept:
    try:
        size = hub.objects.path(oid).stat().st_size
    except FileNotFoundError:
        raise missing(f"There is no object sha256:{oid}") from None
    return Kept(path=oid, oid=f"sha256:{oid}", size=size, at=0)


def _touch(hub: Hub, oid: str) -> None:
    """Let an object count as just written: who asks will name it, and `gc` takes old ones away."""
    with contextlib.suppress(OSError):
        os.utime(hub.objects.path(oid))


def _checked(oid: str) -> str:
    if not _OID.fullmatch(oid):
        raise invalid("An object is named by the 64 hexadecimal digits of its SHA-256")
    return oid


def _checked_batch(hub: Hub, body: bytes) -> tuple[Batch, dict[int, str]]:
    """Return a batch, and which of its operations name files that are not here."""
    batch = operations.decode(body, where="the request's body")
    problems: dict[int, str] = {}
    for index, one in enumerate(batch.operations):
        for problem in _lacking(hub, one):
            problems.setdefault(index, problem)
    return batch, problems


def _lacking(hub: Hub, one: Operation) -> Iterator[str]:
    files: tuple[Artifact | Untracked, ...] = ()
    if isinstance(one, AddArtifacts):
        files = one.artifacts
    elif isinstance(one, StartRun) and one.code is not None:
        files = one.code.untracked
    for file in files:
        if not forms.STORED.fullmatch(file.oid):
            return  # as `operations` says
        try:
            size = hub.objects.path(file.oid.removeprefix("sha256:")).stat().st_size
        except OSError:
            yield f"the file {file.oid} was not sent"
        else:
            if size != file.size:
                yield f"the file {file.oid} has {size} bytes, not {file.size}"
    known = {file.oid.removeprefix("sha256:") for file in files}
    for oid in operations.oids([one]):  # a patch, a parameter file: their size is not told
        if oid not in known and _OID.fullmatch(oid) and not hub.objects.has(oid):
            yield f"the file sha256:{oid} was not sent"
