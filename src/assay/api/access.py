"""Who may ask the hub: who has the token, from a page of its own, by a name of its own.

A browser that is on a stranger's page can be made to send requests here. It then says where the
page came from (`Origin`), which has to be the hub itself; and a name that a stranger's server
lets point to this machine is in `Host`, which has to be one that the hub goes by.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Iterable

OPEN_PATHS = frozenset({"/health", "/version"})
"""Probes have no token, and may come under any name."""
_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::[0-9]*)?")
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")

Headers = Iterable[tuple[bytes, bytes]]


class Access:
    """What a request needs.

    Parameters
    ----------
    token : str, optional
        What clients have to send, as `Bearer`, or as the password of any user.
    hosts : iterable of str
        Names that the hub goes by, beside those of this machine for itself; "*" is any.
    """

    def __init__(self, token: str | None = None, *, hosts: Iterable[str] = ()) -> None:
        self._token = None if token is None else token.encode("ascii")
        self._hosts = {name.lower() for name in (*_LOCAL_NAMES, *hosts)}

    def problem(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the reason that a request is refused with, None for none."""
        host = origin = site = authorization = None
        for name, value in headers:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
            elif name == b"authorization":
                if authorization is not None:
                    return 401, "several headers 'Authorization' were sent"
                authorization = value
        if path in OPEN_PATHS:
            return None
        if not self._is_own(host):
            return 403, "the header 'Host' is not a name of this hub; see 'assay hub --allow-host'"
        if method not in {"GET", "HEAD", "OPTIONS"} and _is_foreign(origin, site, host):
            return 403, "the request comes from a page of another site"
        if self._token is not None and not _has(authorization, self._token):
            return 401, "the request has no token, or a wrong one"
        return None

    def _is_own(self, host: bytes | None) -> bool:
        if host is None or "*" in self._hosts:
            return True
        name = _name(host)
        return name in self._hosts or _is_address(name)


def is_any(address: str) -> bool:
    """Tell whether a server at an address listens at all addresses of its machine.

    Examples
    --------
    >>> is_any("0.0.0.0"), is_any("10.0.0.1")
    (True, False)
    """
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    """Tell whether a host is a number: no stranger's server can let that point to this machine."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: bytes) -> str:
    """Return a host without its port and brackets."""
    text = host.decode("latin-1").lower().strip()
    match = _BRACKETS.fullmatch(text)
    if match is not None:
        return match[1]
    name, colon, port = text.rpartition(":")
    if colon and ":" not in name and (not port or port.isdecimal()):
        text = name
    return text.removesuffix(".")  # the root of all names


def _is_foreign(origin: bytes | None, site: bytes | None, host: bytes | None) -> bool:
    if site is not None and site not in {b"same-origin", b"none"}:
        return True
    if origin is None:
        return False
    _, _, place = origin.partition(b"://")
    return host is None or place.lower() != host.lower()


def _has(authorization: bytes | None, token: bytes) -> bool:
    """Tell whether a header has the token."""
    if authorization is None:
        return False
    scheme, _, secret = authorization.partition(b" ")
    given = secret.strip()
    if scheme.lower() == b"basic":
        try:
            _, _, given = base64.b64decode(given, validate=True).partition(b":")
        except binascii.Error:
            return False
    elif scheme.lower() != b"bearer":
        return False
    return hmac.compare_digest(given, token)
