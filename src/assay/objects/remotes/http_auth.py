"""How a request says who asks: basic, digest, a header of one's own, a bearer token."""

from __future__ import annotations

import base64
import subprocess
import threading
from urllib.parse import urlsplit
from urllib.request import (
    AbstractDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    Request,
    parse_http_list,
    parse_keqv_list,
)

from assay.objects.remotes.http_client import Sign
from assay.objects.remotes.options import Options

WHO = frozenset({"auth", "custom_auth_header", "user", "password", "ask_password"})
"""The options that say who asks: with one of them `~/.netrc` is not looked at."""


def from_netrc(url: str) -> tuple[str | None, str | None]:
    """Return user and password that `$NETRC` or `~/.netrc` has for the host of an address.

    A file that is not there or cannot be understood says nothing, as for curl.
    """
    import netrc
    import os
    from pathlib import Path

    host = urlsplit(url).hostname
    try:
        path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
        found = netrc.netrc(path).authenticators(host or "")
    except (OSError, RuntimeError, UnicodeDecodeError, netrc.NetrcParseError):
        return None, None
    if found is None:
        return None, None
    login, account, password = found
    return login or account or "", password or ""


def signer(options: Options, *, user: str | None, password: str | None) -> Sign:
    """Return what makes the headers; user and password of the address count where no option does.

    Raises
    ------
    Error
        If the options of authentication do not fit each other.
    """
    user = options.text("user") or user
    password = options.password() or password
    method = (options.text("auth") or "").lower()
    header = options.text("custom_auth_header")
    if method == "custom" or (header is not None and not method):
        if header is None or password is None:
            raise options.fail("'auth = custom' needs 'custom_auth_header' and 'password'")
        return _always({header: password})
    if method == "digest":
        if user is None or password is None:
            raise options.fail("'auth = digest' needs 'user' and 'password'")
        return Digest(user, password)
    if method not in {"", "basic"}:
        raise options.fail(f"'auth' is {method!r}, not 'basic', 'digest' or 'custom'")
    if user is None:
        if method == "basic":
            raise options.fail("'auth = basic' needs 'user' and 'password'")
        return _always({})
    pair = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    return _always({"Authorization": f"Basic {pair}"})


def bearer(options: Options) -> Sign | None:
    """Return what sends a token: the option's, or what its command prints; or None."""
    import shlex

    token, command = options.text("token"), options.text("bearer_token_command")
    if token is None and command is not None:
        try:
            done = subprocess.run(
                shlex.split(command), check=True, capture_output=True, text=True, timeout=60
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise options.fail(
                f"'bearer_token_command' failed: {type(error).__name__}",
                hint="run it by hand to see why",
            ) from None
        token = done.stdout.strip()
    return None if token is None else _always({"Authorization": f"Bearer {token}"})


def _always(headers: dict[str, str]) -> Sign:
    return lambda _method, _address, _demand: headers


class Digest:
    """Answers what the server demanded, as RFC 7616 has it; the arithmetic is the library's."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password
        self._passwords = HTTPPasswordMgrWithDefaultRealm()
        self._handler = AbstractDigestAuthHandler(self._passwords)  # it counts uses of a nonce
        self._lock = threading.Lock()

    def __call__(self, method: str, address: str, demand: str | None) -> dict[str, str]:
        """Return the header, or nothing before the server demanded it."""
        if demand is None:
            return {}
        parts = [part for part in parse_http_list(demand.partition(" ")[2]) if part]
        challenge = parse_keqv_list(parts)
        request = Request(address, method=method)  # noqa: S310 -- made for its parts, not sent
        with self._lock:
            self._passwords.add_password(None, address, self._user, self._password)
            answer = self._handler.get_authorization(request, challenge)
        return {"Authorization": f"Digest {answer}"} if answer else {}
