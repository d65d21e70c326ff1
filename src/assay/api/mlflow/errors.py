"""Errors as MLflow's clients know them: a code, a message, and the status that the code means.

Source: MLflow's `error_code_to_status` and the table of `../shared/specs/mlflow.md`, 4. A client
repeats what was answered with a status of 5xx, for minutes: what will not heal is a 4xx here.
"""

from __future__ import annotations

import re

import msgspec

from assay.base.errors import Error, NotFound, Taken
from assay.ledger.committer import Away

STATUS: dict[str, int] = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_STATE": 400,  # MLflow answers 500 here, which its client would repeat
    "UNAUTHENTICATED": 401,
    "CUSTOMER_UNAUTHORIZED": 401,
    "PERMISSION_DENIED": 403,
    "ENDPOINT_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_CONFLICT": 409,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_LONGEST = 2000
_PATH = re.compile(r"(?<!\S)/\S+/\S+")
_COMMAND = re.compile(r"\bassay [a-z]|\bpip install|the command|ulimit|/\w")


class Refused(Error):
    """A request that is answered with an error of MLflow's."""

    def __init__(
        self, code: str, message: str, *, status: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = STATUS[code] if status is None else status


class Body(msgspec.Struct, frozen=True):
    """What an error is answered with."""

    error_code: str
    message: str


def invalid(message: str) -> Refused:
    """Return the error of a value that is wrong."""
    return Refused("INVALID_PARAMETER_VALUE", message)


def lacks(parameter: str) -> Refused:
    """Return the error of a field that was not sent."""
    return invalid(
        f"Missing value for required parameter '{parameter}'. See the API docs for more "
        "information about request parameters."
    )


def missing(message: str) -> Refused:
    """Return the error of a thing that does not exist."""
    return Refused("RESOURCE_DOES_NOT_EXIST", message)


def exists(message: str) -> Refused:
    """Return the error of a name that is taken."""
    return Refused("RESOURCE_ALREADY_EXISTS", message)


def answer(error: Error) -> tuple[int, bytes]:
    """Return the status and the body that an error is answered with.

    Examples
    --------
    >>> answer(missing("Run with id=x not found"))
    (404, b'{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Run with id=x not found"}')
    """
    code = "INVALID_PARAMETER_VALUE"
    if isinstance(error, Refused):
        code = error.code
    elif isinstance(error, NotFound):
        code = "RESOURCE_DOES_NOT_EXIST"
    elif isinstance(error, Taken):
        code = "RESOURCE_ALREADY_EXISTS"
    status = error.status if isinstance(error, Refused) else STATUS[code]
    return status, msgspec.json.encode(Body(code, sentence(error)))


def is_kept_back(error: Error) -> bool:
    """Say whether an error tells more than who asks is told: it is for the log."""
    return not isinstance(error, Refused) and sentence(error) != whole(error)


def sentence(error: Error) -> str:
    """Return what an error says without the paths of this machine and what to type there."""
    if isinstance(error, Refused):
        return _cut(whole(error))
    if isinstance(error, Away):
        return "the ledger cannot be reached now"
    is_place = error.where is not None and "/" in error.where
    hint = None if error.hint is None else error.hint.partition(", then run the command")[0]
    said = Error(
        _PATH.sub("the hub's folder", error.what) if is_place else error.what,
        where=None if is_place else error.where,
        hint=None if hint is not None and _COMMAND.search(hint) else hint,
    )
    return _cut(whole(said))


def whole(error: Error) -> str:
    """Return all that an error says, in one line: for the log."""
    where = "" if error.where is None else f"{error.where}: "
    hint = "" if error.hint is None else f"; {error.hint}"
    return f"{where}{error.what}{hint}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
