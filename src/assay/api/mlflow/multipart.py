"""Files that are uploaded in parts. Source: MLflow's `mlflow_artifacts.proto`, `…MultipartUpload`.

Parts come to the hub itself, any number at a time and again where a connection broke; the ETag of
one is its SHA-256. MLflow's client sends parts with the headers it was told, and no others: the
token of who began the upload is among them.
"""

from __future__ import annotations

import asyncio
import ntpath
import posixpath
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from starlette.responses import Response

from assay.api import bodies
from assay.api.addresses import origin
from assay.api.mlflow import arrivals, paths
from assay.api.mlflow.artifacts import writable
from assay.api.mlflow.asks import from_json
from assay.api.mlflow.calls import call
from assay.api.mlflow.errors import invalid, missing
from assay.base.clock import now_ms
from assay.ledger import artifacts
from assay.objects import parts
from assay.objects.parts import Upload

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request

    from assay.api.hub import Hub
    from assay.ledger.artifacts import Place
    from assay.objects.receiving import Arriving

_TREE = "/mlflow-artifacts/mpu"
_LARGEST = 8 << 20  # bytes of addresses and tokens in an answer: once for each part
_Number = Annotated[int, msgspec.Meta(ge=1, le=parts.MOST)]


class InTree(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the tree; its name is read from the request itself."""

    folder: str


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """What `mpu/create` asks: the file on the client's machine, of which the last part counts."""

    path: str
    num_parts: _Number = 1


class SentPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part that was sent."""

    part_number: _Number
    etag: str = ""


class Complete(msgspec.Struct, frozen=True, kw_only=True):
    """What `mpu/complete` asks."""

    path: str
    upload_id: str
    parts: list[SentPart]


class Abort(msgspec.Struct, frozen=True, kw_only=True):
    """What `mpu/abort` asks."""

    path: str
    upload_id: str


class PartOf(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an upload."""

    upload_id: str
    number: _Number


class OfUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload."""

    upload_id: str


@call("POST", "/mlflow-artifacts/mpu/create/{folder:path}")
async def create(hub: Hub, _ask: InTree, request: Request) -> dict[str, Any]:
    """Begin an upload; say where its parts go."""
    ask = from_json(Create, await _body(hub, request), path={})
    path = _file(paths.asked(request, below=f"{_TREE}/create/"), ask.path)
    address, token = _address(request), request.headers.get("authorization")
    if ask.num_parts * (len(address) + len(token or "")) > _LARGEST:
        raise invalid(
            "The hub's address and the token are too long to be answered for so many parts; "
            "upload fewer, larger parts"
        )

    def begin() -> Upload:
        writable(hub, path)
        return parts.begin(hub.objects, path, n_parts=ask.num_parts)

    upload = await arrivals.in_thread(hub, begin)
    base = f"{address}/part/{upload.id}"
    headers = {} if token is None else {"Authorization": token}
    credentials = [
        {"url": f"{base}/{number}", "part_number": number, "headers": headers}
        for number in range(1, upload.n_parts + 1)
    ]
    return {"upload_id": upload.id, "credentials": credentials}


@call("PUT", "/mlflow-artifacts/mpu/part/{upload_id}/{number}")
async def put_part(hub: Hub, ask: PartOf, request: Request) -> Response:
    """Keep the body as a part, over one of its number."""

    def check() -> Upload:
        upload = parts.find(hub.objects, ask.upload_id)
        parts.check(upload, ask.number)
        return upload

    def keep(upload: Upload, arrived: Arriving) -> str:
        return parts.keep(hub.objects, upload, ask.number, arrived)

    _, sha256 = await arrivals.take(hub, request, check, keep)
    return Response(headers={"ETag": f'"{sha256}"'})


@call("GET", "/mlflow-artifacts/mpu/parts/{upload_id}")
def list_parts(hub: Hub, ask: OfUpload) -> dict[str, Any]:
    """Answer which parts are there: the others are to be sent."""
    upload = parts.find(hub.objects, ask.upload_id)
    found = [
        {"part_number": one.number, "etag": f'"{one.sha256}"', "size": one.size}
        for one in parts.list_(hub.objects, upload)
    ]
    return {"path": upload.what, "num_parts": upload.n_parts, "parts": found}


@call("POST", "/mlflow-artifacts/mpu/complete/{folder:path}")
async def complete(hub: Hub, _ask: InTree, request: Request) -> None:
    """Make the parts a file, and record it."""
    ask = from_json(Complete, await _body(hub, request), path={})
    path = _file(paths.asked(request, below=f"{_TREE}/complete/"), ask.path)
    hashes = {one.part_number: one.etag.strip('"') for one in ask.parts}

    def join() -> tuple[Place, Any]:
        place = writable(hub, path)
        upload = parts.find(hub.objects, ask.upload_id)
        if upload.what != path:
            raise missing(f"The upload {upload.id} is one of '{upload.what}', not of '{path}'")
        return place, parts.complete(hub.objects, upload, hashes)

    place, stored = await arrivals.explained(arrivals.in_thread(hub, join))

    def record(connection: Connection) -> None:
        artifacts.put(connection, place, stored, at=now_ms())

    await asyncio.wrap_future(hub.committer.submit(record))


@call("POST", "/mlflow-artifacts/mpu/abort/{folder:path}")
async def abort(hub: Hub, _ask: InTree, request: Request) -> None:
    """Give an upload up."""
    ask = from_json(Abort, await _body(hub, request), path={})
    await arrivals.in_thread(hub, parts.abort, hub.objects, ask.upload_id)


def _address(request: Request) -> str:
    """Return where the tree of uploads is for who asks."""
    prefix = request.url.path.partition(_TREE)[0]
    return f"{origin(request)}{prefix}{_TREE}"


def _file(folder: str, local: str) -> str:
    """Return the path of an uploaded file: the folder, and the name it has with the client."""
    is_windows = PureWindowsPath(local).is_absolute() and not local.startswith("/")
    name = (ntpath if is_windows else posixpath).basename(local)
    return paths.check(f"{folder}/{name}")


async def _body(hub: Hub, request: Request) -> bytes:
    """Return a body of JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise invalid("The header 'Content-Type' has to be 'application/json'")
    return await bodies.read(request, limit=hub.limits.body)
