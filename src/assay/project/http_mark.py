"""How DVC tells one version of an HTTP resource from the next, without reading it.

The ETag, else Content-MD5, else a token of what the server says: fsspec's `tokenize` of the
`info` of its HTTP file system (fsspec 2026.2), so that both tools write the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def mark(told: Iterable[tuple[Any, str]], *, url: str) -> tuple[str, int | None] | None:
    """Return the checksum that DVC records of a URL, and the size in bytes where it is told.

    Parameters
    ----------
    told : iterable of (headers, address)
        What the server says to HEAD, then to GET, and where it was found in the end. The second
        is asked for only where the first does not tell the size.
    url : str
        The address that was asked.

    Returns
    -------
    tuple or None
        None where there is nothing.
    """
    info: dict[str, Any] = {"name": url, "size": None}
    last: Any = None
    for headers, final in told:
        info |= _info(headers, final=final)
        last = headers
        if info["size"] is not None:
            break
    if last is None:
        return None
    info |= {"type": "file"}
    checksum = last.get("ETag") or last.get("Content-MD5") or _token(info)
    return str(checksum), info["size"]


def _info(headers: Any, *, final: str) -> dict[str, Any]:
    info: dict[str, Any] = {}
    if "Content-Length" in headers and headers.get("Content-Encoding", "") in {"", "identity"}:
        info["size"] = int(headers["Content-Length"])
    if "Content-Type" in headers:
        info["mimetype"] = headers["Content-Type"].partition(";")[0]
    if headers.get("Accept-Ranges") == "none":
        info["partial"] = False
    info["url"] = final
    for field in ("ETag", "Content-MD5", "Digest", "Last-Modified"):
        if headers.get(field):
            info[field] = headers[field]
    return info


def _token(info: dict[str, Any]) -> str:
    from assay.objects.hashing import hash_bytes

    return str(int(hash_bytes(str((info,)).encode()), 16))
