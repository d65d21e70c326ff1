"""What the hub is called by who asks; a proxy before it may tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


def origin(request: Request) -> str:
    """Return scheme, host and port that the client used."""
    url, told = request.url, request.headers
    scheme = told.get("x-forwarded-proto", "").partition(",")[0].strip()
    host = told.get("x-forwarded-host", "").partition(",")[0].strip() or url.netloc
    return f"{scheme if scheme in {'http', 'https'} else url.scheme}://{host}"
