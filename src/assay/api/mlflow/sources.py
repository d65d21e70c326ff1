"""Where a version says that its files are: what MLflow's server takes for true, and what it means.

Source: `_create_model_version` of MLflow's server 3.17. A place that the hub keeps, or that a run
or a logged model keeps for itself, is taken only together with the run or model that it belongs
to; one on another host only where nobody but the client will ask it. Nothing here looks at a disk.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import ParseResult, unquote, unquote_plus, urlparse, urlsplit

import msgspec

from assay.api.mlflow import keys, model_names
from assay.api.mlflow import registered as messages
from assay.api.mlflow.errors import invalid, missing
from assay.ledger import artifacts, registered
from assay.ledger.model_names import NoAlias, NoModel, NoVersion

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.models import Version

IS_PROMPT = "mlflow.prompt.is_prompt"
"""The tag of a model that is a prompt."""
_FOR_PROMPTS = frozenset({"dummy-source", "prompt-template"})

_ADDRESS_HOSTS = frozenset(
    {"ftp", "sftp", "hdfs", "viewfs", "http", "https", "mlflow-artifacts", "r2", "b2", "abfss"}
)
"""Schemes that name a host to connect to."""
LONGEST = 2048
"""Characters of a source. MLflow's column has 500, which PostgreSQL holds and SQLite does not."""
_N_DECODINGS = 10


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is made of, as the ledger keeps it."""

    source: str
    run: str  # "" for none
    model_id: str  # "" for none
    artifact_uri: str | None  # where the files are, if `source` does not say


def origin(
    connection: Connection,
    source: str,
    *,
    run: str | None,
    model_id: str | None,
    is_prompt: bool = False,
) -> Origin:
    """Check what a client says of a version's origin, and return what it means.

    Parameters
    ----------
    run, model_id : str or None
        The ids that the client names; None is not sent, "" is none.

    Raises
    ------
    Refused
        If the source is nothing that a version can be made of, or belongs to something else.
    """
    if len(source) > LONGEST:
        raise keys.too_long("source", LONGEST)
    if is_prompt:
        return _of_prompt(source, run=run or "")
    parsed = _parsed(source)
    _check_host(source, parsed)
    version = _registered(connection, source, parsed) if parsed.scheme == "models" else None
    if version is not None:
        return _again(source, version, run=run, model_id=model_id)
    if model_id:
        _check_of_model(connection, source, parsed, model_id=model_id)
        return _of_model(connection, source, parsed, run=run or "", model_id=model_id)
    _check_of_run(connection, source, parsed, run=run or "")
    return Origin(source=source, run=run or "", model_id="", artifact_uri=None)


def _of_prompt(source: str, *, run: str) -> Origin:
    if source not in _FOR_PROMPTS:
        raise invalid(
            f"Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder."
        )
    return Origin(source=source, run=run, model_id="", artifact_uri=None)


def _parsed(source: str) -> ParseResult:
    try:
        return urlparse(source)
    except ValueError as error:
        raise invalid(f"Invalid model version source: '{source}': {error}") from None


def _check_host(source: str, parsed: ParseResult) -> None:
    """Refuse what would let a reader connect to a host that a client named."""
    scheme = parsed.scheme
    is_ours = scheme == "mlflow-artifacts" and not parsed.netloc
    if scheme in _ADDRESS_HOSTS and not is_ours:
        raise invalid(
            f"'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host "
            "other than the tracking server's configured artifact storage, so the server would "
            f"connect to the host named in the URI '{_without_secrets(source)}'. Log the model to "
            "a run, or copy it to a bucket (s3://, gs://, wasbs://)."
        )


def _without_secrets(source: str) -> str:
    return re.sub(r"//[^/@]*@", "//", source).partition("?")[0]


def _registered(connection: Connection, source: str, parsed: ParseResult) -> Version | None:
    """Return the version that `models:/NAME/3`, `/latest`, `/STAGE` or `@ALIAS` means.

    None where the source is `models:/m-ID`.
    """
    if parsed.netloc:
        raise invalid(
            f"Invalid model version source: '{source}'. Registered model sources must use the "
            "active model registry."
        )
    path = parsed.path
    parts = path.lstrip("/").split("/")
    if not path.startswith("/") or len(parts) > 2 or not all(part.strip() for part in parts):
        _not_contained(source, "model_id")
    name, _, alias = parts[0].rpartition("@") if len(parts) == 1 else (parts[0], "", "")
    if len(parts) == 1 and not ("@" in parts[0] and alias.strip()):
        if "@" in parts[0]:
            _not_contained(source, "model_id")
        return None
    model_names.check_model(name)
    try:
        found = registered.get_model(connection, name)
        if found.tags.get(IS_PROMPT, "").lower() == "true":
            raise invalid(
                f"Invalid model version source: '{source}'. Prompt versions cannot be used as "
                "model version sources."
            )
        if alias:
            return registered.get_by_alias(connection, name, alias)
        if parts[1].isdecimal():
            return registered.get_version(connection, name, model_names.check_number(parts[1]))
    except NoModel:
        raise missing(f"Registered Model with name={name} not found") from None
    except NoVersion:
        raise missing(f"Model Version (name={name}, version={parts[1]}) not found") from None
    except NoAlias:
        raise invalid(f"Registered model alias {alias} not found.") from None
    return _newest(connection, name, parts[1])


def _newest(connection: Connection, name: str, stage: str) -> Version:
    """Return the newest version of a stage, or of all for 'latest'."""
    found = registered.newest_by_stage(connection, [name]).get(name, [])
    if stage.lower() != "latest":
        wanted = model_names.check_stage(stage)
        found = [one for one in found if one.stage == wanted]
    if not found:
        of = "" if stage.lower() == "latest" else f" and stage '{stage}'"
        raise missing(f"No versions of model with name '{name}'{of} found")
    return max(found, key=lambda one: one.number)


def _again(source: str, version: Version, *, run: str | None, model_id: str | None) -> Origin:
    """Return the origin of a version that is made of another one."""
    its_run = version.run or version.foreign_run or ""
    is_other = run is not None and run != its_run
    if is_other or (model_id is not None and model_id != (version.model_id or "")):
        raise invalid(
            f"Invalid model version source: '{source}'. The run_id and model_id request "
            "parameters must match the referenced model version."
        )
    return Origin(
        source=f"models:/{version.name}",
        run=its_run,
        model_id=version.model_id or "",
        artifact_uri=messages.download_uri(version),
    )


def _check_of_model(
    connection: Connection, source: str, parsed: ParseResult, *, model_id: str
) -> None:
    """Refuse a source that is not the logged model's, if it is one that belongs to something."""
    if (path := _local_path(source, parsed)) is not None:
        model = find_model(connection, model_id)
        if model is None or not _is_below(path, model.uri):
            _not_local(source, "model_id")
        return
    _check_path(source)
    if parsed.scheme == "models":
        if parsed.path.strip("/") != model_id:
            _not_contained(source, "model_id")
    elif parsed.scheme == "runs":
        _not_contained(source, "model_id")
    elif parsed.scheme == "mlflow-artifacts":
        model = find_model(connection, model_id)
        if model is None or not _is_within(source, model.uri):
            _not_contained(source, "model_id")


def _of_model(
    connection: Connection, source: str, parsed: ParseResult, *, run: str, model_id: str
) -> Origin:
    model = find_model(connection, model_id)
    if model is None:
        raise missing(f"Logged model with ID '{model_id}' not found.")
    return Origin(
        source=source,
        run=run or model.run or "",
        model_id=model_id,
        artifact_uri=model.uri if parsed.scheme == "models" else None,
    )


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """The run that made a logged model, and where its files are."""

    run: str | None
    uri: str


def find_model(connection: Connection, model_id: str) -> LoggedModel | None:
    """Return a logged model; None where there is none, or it was deleted."""
    from sqlalchemy import select

    from assay.ledger.tables import logged_model as table

    there = (table.c.id == model_id, table.c.deleted.is_(None))
    row = connection.execute(select(table.c.run_id).where(*there)).first()
    if row is None:
        return None
    return LoggedModel(run=row.run_id, uri=artifacts.of_model(connection, model_id).uri)


def _check_of_run(connection: Connection, source: str, parsed: ParseResult, *, run: str) -> None:
    """Refuse a source that is not the run's, if it is one that belongs to something."""
    if (path := _local_path(source, parsed)) is not None:
        root = _root_of_run(connection, run, source)
        if root is None or not _is_below(path, root):
            _not_local(source, "run_id")
        return
    _check_path(source)
    if parsed.scheme == "runs":
        if parsed.netloc or not run or parsed.path.split("/")[1] != run:
            _not_contained(source, "run_id")
    elif parsed.scheme == "models":  # a logged model, which was not named
        _not_contained(source, "model_id")
    elif parsed.scheme == "mlflow-artifacts":
        root = _root_of_run(connection, run, source)
        if root is None or not _is_within(source, root):
            _not_contained(source, "run_id")


def _root_of_run(connection: Connection, run: str, source: str) -> str | None:
    """Return where a run keeps its files; None where no run is named."""
    from assay.base.errors import NotFound

    if not run:
        return None
    try:
        return artifacts.of_run(connection, run).uri
    except NotFound:
        _not_contained(source, "run_id")


def _check_path(source: str) -> None:
    """Refuse a path that climbs, is not in its shortest form, or is none, in any encoding."""
    now = _decoded(source, unquote_plus)
    path = re.sub("/+", "/", _parsed(now).path.rstrip("/"))
    is_plain = path.startswith("/") and posixpath.normpath(path) == path
    if "\0" in path or ".." in now.split("/") or not is_plain:
        raise invalid(
            f"Invalid model version source: '{source}'. If supplying a source as an http, https, "
            "local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be "
            "provided without relative path references present. Please provide an absolute path."
        )


def _local_path(source: str, parsed: ParseResult) -> str | None:
    """Return the path on a disk that a source names; None where it names none.

    Examples
    --------
    >>> [_local_path(one, urlparse(one)) for one in ("/a/b", "file:///a%20b", "s3://a/b")]
    ['/a/b', '/a b', None]
    """
    if parsed.scheme == "file":
        if parsed.netloc not in {"", "localhost"}:
            raise invalid(f"Invalid model version source: '{source}' is a file of another host.")
        return unquote(parsed.path)
    return unquote(source) if parsed.scheme == "" else None


def _is_below(path: str, root: str) -> bool:
    """Tell whether a path on a disk lies in the folder that a local root names."""
    folder = _local_path(root, _parsed(root))
    if folder is None or not path.startswith("/"):
        return False
    parts = posixpath.normpath(path).split("/")
    above = posixpath.normpath(folder).split("/")
    return parts[: len(above)] == above


def _is_within(source: str, root: str) -> bool:
    """Tell whether a URI names a place at or below a root.

    Examples
    --------
    >>> _is_within("mlflow-artifacts:/1/5e/artifacts/m", "mlflow-artifacts:/1/5e/artifacts")
    True
    >>> _is_within("mlflow-artifacts:/1/5e/artifactsX", "mlflow-artifacts:/1/5e/artifacts")
    False
    """
    scheme, host, parts = _in_parts(source)
    of_root = _in_parts(root)
    is_same = (scheme, host) == of_root[:2] and bool(of_root[2])
    return is_same and parts[: len(of_root[2])] == of_root[2]


def _in_parts(uri: str) -> tuple[str, str, list[str]]:
    parsed = urlsplit(uri)
    parts = [_decoded(part, unquote) for part in parsed.path.split("/") if part]
    return parsed.scheme, parsed.netloc.lower(), parts


def _decoded(text: str, decode: Callable[[str], str]) -> str:
    """Return a text decoded until nothing changes; one that goes on to change is refused."""
    now = text
    for _ in range(_N_DECODINGS):
        before, now = now, decode(now)
        if now == before:
            return now
    raise invalid(f"Invalid model version source: '{text}': it is encoded too often")


def _not_contained(source: str, parameter: str) -> NoReturn:
    raise invalid(
        f"Invalid model version source: '{source}'. The {parameter} request parameter must "
        "identify the resource that contains the source."
    )


def _not_local(source: str, parameter: str) -> NoReturn:
    raise invalid(
        f"Invalid model version source: '{source}'. To use a local path as a model version "
        f"source, the {parameter} request parameter has to be specified and the local path has "
        f"to be contained within the artifact directory of the run specified by the {parameter}."
    )
