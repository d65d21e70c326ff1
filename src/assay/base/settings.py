"""Settings of our own: what they are called, their type, and which of several places decides.

`ASSAY_*` in the environment beats this clone's `.assay/config.toml`, which beats the project's
`assay.yaml`, which beats the user's `config.toml`. Where the files lie is known above.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from assay.base.errors import Usage, did_you_mean

LARGEST = 2**53
"""The largest number of a setting: up to here every reader of JSON keeps it exactly."""


class Setting(msgspec.Struct, frozen=True):
    """One setting: its type, what holds without it, what it means, and its smallest number."""

    type: type
    default: Any
    meaning: str
    least: int = 0
    secret: bool = False  # is in no file that git keeps, and is not shown

    @property
    def kind(self) -> str:
        """Which values it takes, in words."""
        if self.type is bool:
            return "true or false"
        if self.type is str:
            return "a text of one line"
        return f"a whole number from {self.least} to 2**53"

    def takes(self, value: Any) -> bool:
        """Say whether a value is of its type and in its range."""
        if self.type is str:
            return isinstance(value, str) and value.isprintable()
        if self.type is bool or not isinstance(value, int) or isinstance(value, bool):
            return self.type is bool and isinstance(value, bool)
        return self.least <= value <= LARGEST


SETTINGS: dict[str, Setting] = {
    "hub.url": Setting(
        str, "", "the team's hub that 'assay.run()' records to, such as 'https://hub.example.org'"
    ),
    "hub.token": Setting(
        str, "", "what the hub lets you in by; the variable ASSAY_TOKEN beats it", secret=True
    ),
    "ledger.url": Setting(
        str,
        "",
        "where runs are recorded, such as 'postgresql://USER@HOST/DATABASE' or another file; "
        "without it in '.assay/ledger.db'",
    ),
    "profile.auto": Setting(bool, True, "profile tables when they are added or produced"),
    "profile.max_size": Setting(
        int, 64_000_000, "bytes; a larger table is profiled by the first command that needs it"
    ),
    "run.log_tail": Setting(int, 200, "lines of a stage's output that its run keeps"),
    "run.max_untracked": Setting(
        int, 10_000_000, "bytes of untracked files that a run may keep and still be reproducible"
    ),
    "run.share": Setting(
        bool, True, "send records of runs with 'assay push', bring them with 'assay pull'"
    ),
    "run.system_metrics": Setting(
        bool,
        True,
        "measure processor, memory and disk every ten seconds of a script's run and of a stage",
    ),
    "serve.max_connections": Setting(
        int, 1024, "connections that may be open at one time; more are told so and closed", 1
    ),
    "serve.max_header_size": Setting(int, 65_536, "bytes of a request's line and headers", 1),
    "serve.max_body_size": Setting(
        int, 67_108_864, "bytes of a request's body, also once it is unpacked", 1
    ),
    "serve.max_bodies_size": Setting(
        int, 1_073_741_824, "bytes of all bodies that are on their way at one time", 1
    ),
    "serve.max_tensors": Setting(int, 1024, "tensors of a request", 1),
    "serve.max_values": Setting(int, 134_217_728, "values of a tensor", 1),
    "serve.max_text_size": Setting(int, 16_777_216, "bytes of one text in binary form", 1),
    "serve.max_id_length": Setting(int, 256, "characters of a client's id for its request", 1),
    "serve.request_timeout": Setting(int, 60, "seconds that a request may take to arrive", 1),
    "serve.idle_timeout": Setting(
        int, 75, "seconds that a connection may wait for its next request", 1
    ),
    "serve.drain_timeout": Setting(
        int, 30, "seconds that requests being answered have when the server ends", 1
    ),
}


def variable(key: str) -> str:
    """Return the environment variable of a setting.

    Examples
    --------
    >>> variable("profile.max_size")
    'ASSAY_PROFILE_MAX_SIZE'
    """
    return "ASSAY_" + key.replace(".", "_").upper()


def parse(key: str, value: Any, *, where: str) -> Any:
    """Return a value as the setting's type; a text is read as a person types it.

    Raises
    ------
    Usage
        If no setting has this name, or the value does not fit.
    """
    setting = known(key, where=where)
    found = _read(setting, value) if isinstance(value, str) else value
    if not setting.takes(found):
        raise Usage(f"'{key}' is {value!r}, not {setting.kind}", where=where)
    check_address(key, found, where=where)
    return found


def check(key: str, value: Any, *, where: str | None = None) -> None:
    """Refuse a value of a file that is not of the setting's type, or out of its range.

    Raises
    ------
    Usage
        Also if no setting has this name.
    """
    setting = known(key, where=where)
    if not setting.takes(value):
        raise Usage(f"'{key}' is {value!r}, not {setting.kind}", where=where)
    check_address(key, value, where=where)


def check_address(key: str, value: Any, *, where: str | None = None) -> None:
    """Refuse a text that is no address of a hub, or one of a server that names no protocol.

    As the path of a ledger, it would become a file in the current folder.

    Parameters
    ----------
    key : str
        ``hub.url`` or ``ledger.url``, or their variable ASSAY_HUB or ASSAY_LEDGER; of any other
        setting nothing is said.

    Raises
    ------
    Usage
        With the address that may be meant.
    """
    if key not in _OF_HUB | _OF_LEDGER or not isinstance(value, str) or not value:
        return
    bare = _BARE.fullmatch(value)
    if key in _OF_HUB and _HUB.fullmatch(value) is None:
        what = f"'{key}' is {_unsigned(value)!r}, which is no address of a hub"
        hint = f"did you mean 'http://{bare[1]}'?" if bare else "write it as http://HOST:PORT"
        raise Usage(what, where=where, hint=hint)
    if key in _OF_LEDGER and bare is not None and bare[2] is not None:
        what = f"'{key}' is {_unsigned(value)!r}: a server's address, without its protocol"
        other = "ASSAY_HUB" if key == "ASSAY_LEDGER" else "hub.url"
        hint = (
            f"did you mean 'postgresql://{bare[1]}/DATABASE'? a hub is named by {other}: "
            f"'http://{bare[1]}'; a file of this name is './{bare[1]}'"
        )
        raise Usage(what, where=where, hint=hint)


_OF_HUB = frozenset(["hub.url", "ASSAY_HUB"])
_OF_LEDGER = frozenset(["ledger.url", "ASSAY_LEDGER"])
_HUB = re.compile(r"https?://([^/@\s]*@)?(\[[0-9A-Fa-f:.]+\]|[^/:@\s\[\]?#]+)(:\d{1,5})?(/\S*)?")
_BARE = re.compile(
    r"(?:[^/@\s]*@|//)?((?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+(:\d{1,5})?(?:/\S*)?)", re.ASCII
)


def _unsigned(address: str) -> str:
    """Return an address without who signs in."""
    return re.sub(r"[^/@]*@", "", address, count=1)


def _read(setting: Setting, given: str) -> Any:
    """Return what a person means by a text; the text where that is nothing."""
    if setting.type is str:
        return given.strip()
    text = given.strip().lower()
    if setting.type is bool and text in {"true", "false", "1", "0"}:
        return text in {"true", "1"}
    if setting.type is int and text.isascii() and text[:1].isdigit():
        with contextlib.suppress(ValueError):
            return int(text)
    return given


def shown(key: str, value: Any) -> Any:
    """Return a setting's value for people: the password of an address is left out.

    Examples
    --------
    >>> shown("ledger.url", "postgresql://ada:s3cret@db/assay?password=s3cret")
    'postgresql://ada:***@db/assay?password=***'
    """
    if SETTINGS[key].secret and value:
        return "***"
    if SETTINGS[key].type is not str:
        return value
    hidden = re.sub(r"(://[^/@]*?:)[^/]*@", r"\1***@", str(value))
    return re.sub(r"(?i)(\bpassword=)[^&]*", r"\1***", hidden)


def known(key: str, *, where: str | None = None) -> Setting:
    """Return the setting of a name.

    Raises
    ------
    Usage
        If there is none; it names the nearest.
    """
    if key not in SETTINGS:
        hint = did_you_mean(key, SETTINGS)
        raise Usage(f"there is no setting '{key}'", where=where, hint=hint)
    return SETTINGS[key]


def resolve(key: str, places: Iterable[tuple[str, Mapping[str, Any]]]) -> Any:
    """Return a setting from places, strongest first; each is a name and its settings by key.

    A place is not asked for before all that are stronger have been.
    """
    for where, values in places:
        if key in values:
            return parse(key, values[key], where=where)
    return SETTINGS[key].default
