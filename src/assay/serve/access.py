"""Who may ask: everybody on this machine, and with a token everybody who has it."""

from __future__ import annotations

import hmac
import ipaddress
import os
from typing import TYPE_CHECKING

from assay.base.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN = "ASSAY_TOKEN"  # noqa: S105 -- the name of the variable
OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})
"""Probes have no token, and learn nothing but whether the server answers."""

_SHORTEST = 8


def is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def given_token() -> str | None:
    """Return the token that clients of a server have to send; None where none is set.

    Raises
    ------
    Usage
        If it is set, and blank: a secret that was not mounted is no wish to do without.
    """
    given = os.environ.get(TOKEN) or None
    if given is None:
        return None
    if not given.strip():
        raise Usage(
            "the token is blank",
            where=TOKEN,
            hint=f"{TOKEN}=$(openssl rand -hex 24), or 'unset {TOKEN}' to have none",
        )
    return given.strip()  # a mounted secret ends its line


def check_token(token: str | None, *, address: str) -> None:
    """Refuse to answer others than this machine without a token.

    Raises
    ------
    Usage
        If there is none where it is needed, or it can be guessed.
    """
    if token is None and not is_loopback(address):
        raise Usage(
            "others than this machine could ask without a token",
            where=f"--host {address}",
            hint=f"set {TOKEN}, or leave out --host",
        )
    if token is not None and (len(token) < _SHORTEST or not token.isascii()):
        raise Usage(
            f"the token is no ASCII text of {_SHORTEST} characters or more",
            where=TOKEN,
            hint=f"{TOKEN}=$(openssl rand -hex 24)",
        )


def is_allowed(headers: Iterable[tuple[bytes, bytes]], token: str) -> bool:
    """Tell whether a request has a token in `Authorization: Bearer`."""
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        return False
    scheme, _, secret = given[0].partition(b" ")
    same = hmac.compare_digest(secret.strip(), token.encode("ascii"))
    return scheme.lower() == b"bearer" and same
