"""How DVC tells one version of an HTTP resource from the next, without reading it.

The ETag, else Content-MD5, else a token of what the server says: fsspec's `tokenize` of the
`info` of its HTTP file system (fsspec 2026.2), so that both tools write the same.
"""

from __future__ import annotations

from typing import Any

from assay.base.errors import Error, NotFound

_SECONDS = 60


def ask(url: str, *, where: str) -> tuple[str, int | None]:
    """Return the checksum that DVC records of a URL, and the size in bytes where it is told.

    Raises
    ------
    NotFound
        If there is nothing.
    Error
        If the server cannot be reached, or refuses.
    """
    try:
        headers, final = _headers(url, "HEAD", where=where)
    except Error as error:
        if isinstance(error, NotFound):
            raise
        headers, final = _headers(url, "GET", where=where)
    info = _info(headers, url=url, final=final)
    size = info["size"]
    checksum = headers.get("ETag") or headers.get("Content-MD5") or _token(info)
    return str(checksum), size


def _headers(url: str, method: str, *, where: str) -> tuple[Any, str]:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    request = Request(url, method=method, headers={"Accept-Encoding": "identity"})  # noqa: S310
    try:
        with urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 -- http and https only
            return response.headers, response.geturl()
    except HTTPError as error:
        error.close()
        if error.code in {404, 410}:
            raise NotFound("there is nothing at this address", where=where,
                           hint="check the path; nothing was changed") from error  # fmt: skip
        raise Error(
            f"the server answers with status {error.code}",
            where=where,
            hint="check that you may read it, then try again",
        ) from error
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Error(
            f"the server cannot be reached: {reason}", where=where, hint="check the address"
        ) from error


def _info(headers: Any, *, url: str, final: str) -> dict[str, Any]:
    info: dict[str, Any] = {"name": url, "size": None}
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
    return info | {"type": "file"}


def _token(info: dict[str, Any]) -> str:
    from assay.objects.hashing import hash_bytes

    return str(int(hash_bytes(str((info,)).encode()), 16))
