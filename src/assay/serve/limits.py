"""What a request may be at most, and how a request is refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from assay.base.errors import Error

_LONGEST_TEXT = 600
_SETTINGS = {
    "connections": "serve.max_connections",
    "head": "serve.max_header_size",
    "body": "serve.max_body_size",
    "bodies": "serve.max_bodies_size",
    "inputs": "serve.max_tensors",
    "elements": "serve.max_values",
    "text": "serve.max_text_size",
    "id": "serve.max_id_length",
    "request_seconds": "serve.request_timeout",
    "idle_seconds": "serve.idle_timeout",
    "drain_seconds": "serve.drain_timeout",
}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one server.

    Attributes
    ----------
    connections : int
        Open ones; more are told so and closed.
    head, body : int
        Bytes of a request's line and headers; of its body, also once it is inflated.
    bodies : int
        Bytes of all bodies that are on their way at one time.
    inputs, elements, text : int
        Tensors of a request; values of a tensor; bytes of one text.
    id : int
        Characters of a client's id.
    request_seconds, idle_seconds, drain_seconds : float
        How long a request may take to arrive; how long a connection may wait for the next one;
        how long requests that are being answered have when the server ends.
    """

    connections: int = 1024
    head: int = 65_536
    body: int = 64 * 1024 * 1024
    bodies: int = 1024 * 1024 * 1024
    inputs: int = 1024
    elements: int = 2**27
    text: int = 16 * 1024 * 1024
    id: int = 256
    request_seconds: float = 60
    idle_seconds: float = 75
    drain_seconds: float = 30


def from_settings(value: Callable[[str], int]) -> Limits:
    """Return the limits that a project sets; `value` gives a setting by its key."""
    return Limits(**{name: value(key) for name, key in _SETTINGS.items()})


class Refused(Error):
    """A request that is not answered; `status` is that of HTTP."""

    def __init__(self, status: int, what: str, *, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.status = status


def sentence(error: Error) -> str:
    """Return an error on one line, for the JSON of an answer.

    Examples
    --------
    >>> sentence(Error("the value is 'a'", where="column 'x'", hint="send a number"))
    "column 'x': the value is 'a'; send a number"
    """
    head = error.what if error.where is None else f"{error.where}: {error.what}"
    text = head if error.hint is None else f"{head}; {error.hint}"
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."
