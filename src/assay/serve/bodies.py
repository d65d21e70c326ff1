"""The bodies of requests and answers: of which type they are, and how they are packed."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from assay.serve.limits import Limits, Refused

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

SMALLEST_PACKED = 1024
"""Bytes; packing less only takes time."""

_FORMS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # the window bits of zlib


async def read(request: Request, limits: Limits) -> bytes:
    """Return the body of a request, unpacked.

    How many bytes arrive was bounded before; here it is how many they become.

    Raises
    ------
    Refused
        If it is packed in an unknown way, is damaged, or becomes too large.
    """
    body = await request.body()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in _FORMS:
        raise Refused(
            415, f"the Content-Encoding is {coding[:40]!r}; known are gzip and deflate"
        )  # fmt: skip
    unpacker = zlib.decompressobj(_FORMS[coding])
    try:
        found = unpacker.decompress(body, limits.body + 1)
    except zlib.error as error:
        raise Refused(400, f"the body is no {coding}: {error}") from None
    if len(found) > limits.body:
        raise Refused(413, f"the body becomes larger than {limits.body} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise Refused(400, f"the body is not one whole {coding} stream")
    return found


def media_type(request: Request) -> str:
    """Return the type of a request's body, without its parameters; "" where none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def need_json(request: Request) -> None:
    """Refuse a body that does not say that it is JSON: no other site's page can send that."""
    found = media_type(request)
    if found != "application/json" and not found.endswith("+json"):
        shown = repr(found[:60]) if found else "missing"
        raise Refused(415, f"the Content-Type is {shown}; expected is 'application/json'")


def decode(decoder: msgspec.json.Decoder[T], body: bytes | memoryview) -> T:
    """Return what JSON says.

    Raises
    ------
    Refused
        If it is not of the form; with the place in it.
    """
    try:
        return decoder.decode(body)
    except RecursionError:
        raise Refused(400, "the JSON is nested too deeply") from None
    except UnicodeDecodeError:
        raise Refused(400, "the JSON is not UTF-8") from None
    except msgspec.MsgspecError as error:
        text = str(error)
        what = text if len(text) <= 300 else f"{text[:297]}..."
        raise Refused(400, f"the body is not of the form: {what}") from None


def keys(body: bytes) -> list[list[str]]:
    """Return the keys of an object, or of each object of a list; none where it is neither.

    For a body that was refused, to say more about it.

    Examples
    --------
    >>> keys(b'{"id": 1}'), keys(b'[{"id": 1}, {}]'), keys(b'[1]'), keys(b'{')
    ([['id']], [['id'], []], [], [])
    """
    try:
        found = _OBJECTS.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return []
    return [list(one) for one in (found if isinstance(found, list) else [found])]


_Object = dict[str, msgspec.Raw]
_OBJECTS: msgspec.json.Decoder[_Object | list[_Object]] = msgspec.json.Decoder(
    _Object | list[_Object]
)


def packed(body: bytes, accepted: str) -> tuple[bytes, dict[str, str]]:
    """Return a body as the client wants it, and the headers that say how it is packed."""
    if len(body) < SMALLEST_PACKED or not accepted:
        return body, {}
    wanted = {
        name.strip()
        for name, _, quality in (
            part.strip().lower().partition(";") for part in accepted.split(",")
        )
        if quality.strip().replace(" ", "") not in {"q=0", "q=0.0"}
    }
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" in wanted:
        return gzip.compress(body, 1, mtime=0), headers | {"Content-Encoding": "gzip"}
    if "deflate" in wanted:
        return zlib.compress(body, 1), headers | {"Content-Encoding": "deflate"}
    return body, headers


def shown_id(text: Any) -> bool:
    """Tell whether a client's id can stand in a header."""
    return isinstance(text, str) and text.isascii() and text.isprintable() and text != ""
