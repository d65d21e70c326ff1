"""The names of artifacts between the tree of the hub and MLflow's clients, which encode badly.

What a client sends is decoded once. MLflow's does not encode `?`, so that the rest of such a name
arrives as a query: it is put back. It does not encode `#` either and sends nothing of what
follows; nor `%`, so that `p%20q` and `p q` are one name when it sends them. Nobody can tell these
apart from what arrives.

What such a client reads in a list, it decodes until nothing changes, refuses where a `#` is left,
and sends as it is. A name that would not come back is therefore listed with its odd characters as
U+FF05 (a wide percent sign) and two digits for each byte. No two names become one.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, unquote_to_bytes, urlparse, urlunparse

from assay.api.mlflow.errors import Refused, invalid

if TYPE_CHECKING:
    from starlette.requests import Request

LONGEST_NAME, LONGEST_PATH = 255, 4096
"""Bytes; no file system takes more, so nobody could download it."""

_SIGN = "\uff05"  # the full-width percent sign
_CODES = re.compile(f"(?:{_SIGN}[0-9A-F]{{2}})+")
_N_DECODINGS = 10


def asked(request: Request, *, below: str, ends: str = "") -> str:
    """Return the path that a request names after `below`, with what looks like its query.

    Slashes at its end are taken off where `ends` is one: it may name a folder.
    """
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    rest = raw.partition(below.encode())[2]
    if query := request.scope["query_string"]:
        rest += b"?" + query
    try:
        return check(unquote_to_bytes(rest).decode().rstrip(ends))
    except UnicodeDecodeError:
        raise invalid("Invalid path: it is not UTF-8") from None


def check(path: str) -> str:
    """Return a path that leads down, file by file, wherever it is used; refuse any other.

    Examples
    --------
    >>> check("1/a b/c#d")
    '1/a b/c#d'
    >>> check("1/%252e%252e/x")
    Traceback (most recent call last):
    assay.api.mlflow.errors.Refused: Invalid path '1/%252e%252e/x': it leads out of its folder
    """
    now = path
    for _ in range(_N_DECODINGS):
        if _climbs(now):
            raise _refused(path, "it leads out of its folder")
        before, now = now, unquote(now)
        if now == before:
            break
    else:
        raise _refused(path, "it is encoded too often")
    if "\0" in path:
        raise _refused(path, "it has a NUL in it")
    if any(part in {"", "."} for part in path.split("/")):
        raise _refused(path, "a part of it is empty, or '.'")
    try:
        sizes = [len(part.encode()) for part in path.split("/")]
    except UnicodeEncodeError:
        raise _refused(path, "it is not Unicode") from None
    if max(sizes) > LONGEST_NAME or sum(sizes) + len(sizes) > LONGEST_PATH:
        raise _refused(
            path, f"it is longer than {LONGEST_NAME} bytes a name, or {LONGEST_PATH} in all"
        )
    return path


def check_folder(path: str) -> str:
    """Return a path without slashes at its end; "" is the root."""
    bare = path.rstrip("/")
    return check(bare) if bare or path.startswith("/") else ""


def shown(name: str) -> str:
    r"""Return what a file or folder is called in a list that MLflow's client reads.

    Examples
    --------
    >>> shown("model.pkl"), shown("100%"), ascii(shown("h#1")), ascii(shown("p%20q"))
    ('model.pkl', '100%', "'h\\uff05231'", "'p\\uff052520q'")
    """
    if _read(name) == name and _SIGN not in name and not name.endswith("?"):
        return name
    return "".join(one if _is_plain(one) else _encoded(one) for one in name)


def meant(path: str) -> str:
    r"""Return the path that was listed as this one.

    Examples
    --------
    >>> meant("plots/h\uff05231")
    'plots/h#1'
    """
    return _CODES.sub(_decoded, path)


def candidates(path: str) -> list[str]:
    """Return which paths a client may mean: as listed, then as it stands."""
    return list(dict.fromkeys((meant(path), path)))


def _refused(path: str, why: str) -> Refused:
    shown_ = path if len(path) <= 200 else f"{path[:200]}..."
    return invalid(f"Invalid path {shown_!r}: {why}")


def _climbs(path: str) -> bool:
    return (
        ".." in re.split(r"[/\\]", path)
        or PurePosixPath(path).is_absolute()
        or PureWindowsPath(path).is_absolute()
    )


def _read(name: str) -> str | None:
    """Return what MLflow's client makes of a name in a list; None where it refuses it."""
    now = name
    for _ in range(_N_DECODINGS):
        try:
            after = urlunparse(urlparse(unquote(now)))
        except ValueError:  # what looks like an address of IPv6
            return None
        if after == now:
            break
        now = after
    is_refused = (
        "#" in now
        or now.startswith("file:")
        or any(ord(one) < 32 or ord(one) == 127 for one in now)
        or PureWindowsPath(now).is_absolute()
    )
    return None if is_refused else now


def _is_plain(one: str) -> bool:
    return one != _SIGN and (one.isalnum() or one in "_.-~" or ord(one) > 127)


def _encoded(one: str) -> str:
    return "".join(f"{_SIGN}{byte:02X}" for byte in one.encode())


def _decoded(match: re.Match[str]) -> str:
    try:
        return bytes.fromhex(match[0].replace(_SIGN, "")).decode()
    except UnicodeDecodeError:
        return match[0]
