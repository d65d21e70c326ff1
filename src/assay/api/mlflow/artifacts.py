"""The artifacts of runs and logged models, as MLflow's proxy of them and its lists.

Source: MLflow's `mlflow_artifacts.proto`, messages `ListArtifacts` and `FileInfo`. What lies
where is the ledger's to know (`assay.ledger.artifacts`); bytes go through `arrivals` into the
object store and through `sending` out of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from assay.api.mlflow import arrivals, bundles, paths, sending
from assay.api.mlflow.calls import call
from assay.api.mlflow.errors import Refused, exists, invalid, missing
from assay.api.mlflow.model_names import check_number
from assay.api.mlflow.registered import download_uri
from assay.api.mlflow.versions import in_words_of_mlflow
from assay.base.clock import now_ms
from assay.base.errors import Taken
from assay.ledger import artifact_tree, artifacts, registered
from assay.ledger.artifacts import Entry, Kept, Owner, Place

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request

    from assay.api.hub import Hub
    from assay.objects.cache import Stored
    from assay.objects.receiving import Arriving

_TREE = "/mlflow-artifacts/artifacts/"
_LARGEST_OF_PAGE = 10 * 1024 * 1024
_TOO_LARGE = "Artifact size is too large. Max size is 10MB."
_PROXIED = (
    "Presigned {what} is not supported for proxied artifact storage (artifact URI scheme: "
    "{scheme}). This endpoint requires a direct cloud storage artifact URI."
)


class AtPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the tree; the name that was sent is read from the request itself."""

    path: str


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the tree."""

    path: str = ""


class OfRun(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of a run."""

    run_id: str
    path: str = ""


class OfPage(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a page sends for a run."""

    run_uuid: str = ""
    path: str = ""


class OfVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a registered version."""

    name: str
    version: str
    path: str


class OfModel(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a logged model."""

    model_id: str
    artifact_file_path: str = ""


class FolderOfModel(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of a logged model."""

    model_id: str
    artifact_directory_path: str = ""


class Presigned(msgspec.Struct, frozen=True, kw_only=True):
    """A question for an address in a store of a cloud."""

    path: str
    run_id: str | None = None
    model_id: str | None = None


@call("GET", "/mlflow-artifacts/artifacts/{path:path}")
async def download(hub: Hub, _ask: AtPath, request: Request) -> Response:
    """Send a file."""
    path = paths.asked(request, below=_TREE)
    return await arrivals.in_thread(hub, _send, hub, paths.candidates(path))


@call("PUT", "/mlflow-artifacts/artifacts/{path:path}")
async def upload(hub: Hub, _ask: AtPath, request: Request) -> Response:
    """Keep the body as a file, over one that is there."""
    path = paths.asked(request, below=_TREE)
    place, stored = await arrivals.take(
        hub, request, lambda: writable(hub, path), lambda _, arrived: arrived.finish()
    )
    is_cut = _is_cut(request, path)

    def record(connection: Connection) -> None:
        artifacts.put(connection, place, stored, at=now_ms(), replace=not is_cut)

    try:
        await asyncio.wrap_future(hub.committer.submit(record))
    except Taken as error:
        raise exists(
            f"{error.what}. By its type this one is another file, whose name was cut: MLflow's "
            "client sends nothing of a name after a '#' or a last '?'. Nothing was changed; "
            "rename the file"
        ) from None
    return Response(headers={"ETag": f'"sha256:{stored.oid}"'})


@call("POST", "/mlflow/upload-artifact")
async def upload_of_page(hub: Hub, ask: OfPage, request: Request) -> Response:
    """Keep the body as a file of a run, as MLflow's page sends it: a small one."""
    if not ask.run_uuid:
        raise invalid("Request must specify run_uuid.")
    if not ask.path:
        raise invalid("Request must specify path.")
    path = paths.check(ask.path)
    if int(request.headers.get("content-length", "0")) > _LARGEST_OF_PAGE:
        raise invalid(_TOO_LARGE)

    def place() -> Place:
        with hub.ledger.read() as connection:
            root = artifacts.of_run(connection, ask.run_uuid).root
        if root is None:
            raise invalid(f"The hub does not keep the files of the run {ask.run_uuid}")
        return writable(hub, f"{root}/{path}")

    def keep(_: Place, arrived: Arriving) -> Stored:
        if not arrived.size:
            raise invalid("Request must specify data.")
        if arrived.size > _LARGEST_OF_PAGE:
            raise invalid(_TOO_LARGE)
        return arrived.finish()

    found, stored = await arrivals.take(hub, request, place, keep)
    put = artifacts.put
    await asyncio.wrap_future(hub.committer.submit(lambda c: put(c, found, stored, at=now_ms())))
    return Response(media_type="application/json")


@call("DELETE", "/mlflow-artifacts/artifacts/{path:path}")
async def delete(hub: Hub, _ask: AtPath, request: Request) -> None:
    """Forget a file, or all of a folder; what is not there is fine."""
    path = paths.asked(request, below=_TREE, ends="/")

    def forget(connection: Connection) -> None:
        for one in paths.candidates(path):
            if artifacts.delete(connection, artifacts.find(connection, one), at=now_ms()):
                return

    await asyncio.wrap_future(hub.committer.submit(forget))


@call("GET", "/mlflow-artifacts/artifacts")
def list_folder(hub: Hub, ask: Listing) -> dict[str, Any]:
    """List a folder for MLflow's client: names that it does not garble.

    Above the runs and logged models there are the folders that lead to their files.
    """
    path = paths.check_folder("/".join(part for part in ask.path.split("/") if part != "."))
    if bundles.is_in(path):
        return _files((paths.shown(entry.name), entry) for entry in bundles.list_(hub, path))
    with hub.ledger.read() as connection:
        for one in paths.candidates(path):
            try:
                place = artifacts.find(connection, one)
            except artifacts.Unowned:
                found = artifact_tree.above(connection, one)
                continue
            found = artifacts.list_(connection, place.owner, place.path)
            if found:
                break
    return _files((paths.shown(entry.name), entry) for entry in found)


@call("GET", "/mlflow/artifacts/list")
def list_of_run(hub: Hub, ask: OfRun) -> dict[str, Any]:
    """List a folder of a run, for browsers and others that encode names well."""
    path = paths.check_folder(ask.path)
    with hub.ledger.read() as connection:
        owner = artifacts.of_run(connection, ask.run_id)
        return _listed(connection, owner, path)


@call("GET", "/mlflow/logged-models/{model_id}/artifacts/directories")
def list_of_model(hub: Hub, ask: FolderOfModel) -> dict[str, Any]:
    """List a folder of a logged model."""
    path = paths.check_folder(ask.artifact_directory_path)
    with hub.ledger.read() as connection:
        return _listed(connection, _there(artifacts.of_model(connection, ask.model_id)), path)


@call("GET", "/get-artifact", version=None)
def get_of_run(hub: Hub, ask: OfRun) -> Response:
    """Send a file of a run to a browser."""
    path = paths.check(ask.path)
    with hub.ledger.read() as connection:
        owner = artifacts.of_run(connection, ask.run_id)
        kept = _kept(connection, Place(owner=owner, path=path))
    return sending.FileAnswer.of(hub, kept, path)


@call("GET", "/mlflow/logged-models/{model_id}/artifacts/files")
def get_of_model(hub: Hub, ask: OfModel) -> Response:
    """Send a file of a logged model to a browser."""
    if not ask.artifact_file_path:
        raise Refused(
            "BAD_REQUEST", 'Request must include the "artifact_file_path" query parameter.'
        )
    path = paths.check(ask.artifact_file_path)
    with hub.ledger.read() as connection:
        owner = _there(artifacts.of_model(connection, ask.model_id))
        kept = _kept(connection, Place(owner=owner, path=path))
    return sending.FileAnswer.of(hub, kept, path)


@call("GET", "/model-versions/get-artifact", version=None)
def get_of_version(hub: Hub, ask: OfVersion) -> Response:
    """Send a file of a registered version to a browser."""
    path = paths.check(ask.path)
    number = check_number(ask.version)
    with hub.ledger.read() as connection, in_words_of_mlflow(ask.name, ask.version):
        uri = download_uri(registered.get_version(connection, ask.name, number))
    root = artifacts.path_of(uri or "")
    if root is None:
        raise invalid(f"The hub does not keep the files of version {number} of {ask.name!r}")
    return _send(hub, [f"{root}/{path}"])


@call("POST", "/mlflow/artifacts/presigned-upload-url")
def presigned_upload(hub: Hub, ask: Presigned) -> None:
    """Refuse: the hub keeps files itself."""
    if bool(ask.run_id) == bool(ask.model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    raise _not_presigned(hub, ask, "upload")


@call("POST", "/mlflow/artifacts/presigned-download-url")
def presigned_download(hub: Hub, ask: Presigned) -> None:
    """Refuse: the hub keeps files itself."""
    raise _not_presigned(hub, ask, "download")


@call("GET", "/mlflow-artifacts/presigned/{path:path}")
def presigned_in_tree(_hub: Hub, _ask: AtPath) -> None:
    """Refuse: a client then asks for the file itself."""
    raise Refused(
        "NOT_IMPLEMENTED",
        "Multipart download is not supported for the current artifact repository",
    )


def writable(hub: Hub, path: str) -> Place:
    """Return the place of a file that may be written.

    Raises
    ------
    Error
        If it is nobody's, the root itself, or of a run that is deleted.
    """
    with hub.ledger.read() as connection:
        place = artifacts.find(connection, path)
    artifacts.check(place.owner)
    if not place.path:
        raise invalid(f"Invalid path {path!r}: it is a folder; expected is a file in it")
    paths.check(place.path)  # by itself: `C:/x` leads out of the folder of who downloads it
    return place


def _send(hub: Hub, meant: list[str]) -> Response:
    """Send the file at the first path at which there is one."""
    if bundles.is_in(meant[-1]):
        return sending.FileAnswer.of(hub, bundles.get(hub, meant[-1]), meant[-1])
    with hub.ledger.read() as connection:
        places = [artifacts.find(connection, one) for one in meant]
        for place in places:
            kept = artifacts.get(connection, place.owner, place.path)
            if kept is not None:
                break
        else:
            raise _no_file(connection, places[-1])
    return sending.FileAnswer.of(hub, kept, place.path)


def _kept(connection: Connection, place: Place) -> Kept:
    kept = artifacts.get(connection, place.owner, place.path)
    if kept is None:
        raise _no_file(connection, place)
    return kept


def _no_file(connection: Connection, place: Place) -> Refused:
    if artifacts.is_folder(connection, place.owner, place.path):
        return invalid(f"Artifact path refers to a directory, not a file: '{place.path}'")
    return missing(f"No such artifact: '{place.path}'")


def _there(owner: Owner) -> Owner:
    if owner.deleted:
        raise missing(f"Logged model with ID '{owner.id}' not found.")
    return owner


def _listed(connection: Connection, owner: Owner, path: str) -> dict[str, Any]:
    found = artifacts.list_(connection, owner, path)
    return {"root_uri": owner.uri} | _files((entry.path, entry) for entry in found)


def _files(named: Any) -> dict[str, Any]:
    """Return MLflow's list of files; a size of 0 and an empty list are left out, as there."""
    files = [_info(name, entry) for name, entry in named]
    return {"files": files} if files else {}


def _info(name: str, entry: Entry) -> dict[str, Any]:
    info: dict[str, Any] = {"path": name, "is_dir": entry.is_folder}
    return info | {"file_size": entry.size} if entry.size else info


def _is_cut(request: Request, path: str) -> bool:
    """Tell whether MLflow's client sends this, and its type cannot come of this name.

    It tells the type by the file's name. Of a name without a dot it follows for sure: where it is
    another one, the file has more of a name than what arrived.
    """
    if not request.headers.get("user-agent", "").startswith("mlflow-python-client"):
        return False
    given = request.headers.get("content-type")
    name = path.rpartition("/")[2]
    return given is not None and "." not in name and given != sending.media_type(name)


def _not_presigned(hub: Hub, ask: Presigned, what: str) -> Refused:
    paths.check(ask.path)
    with hub.ledger.read() as connection:
        if ask.model_id:
            owner = artifacts.of_model(connection, ask.model_id)
        else:
            owner = artifacts.of_run(connection, ask.run_id or "")
    scheme = owner.uri.partition(":")[0]
    return invalid(_PROXIED.format(what=what, scheme=scheme))
