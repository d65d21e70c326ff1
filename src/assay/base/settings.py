"""Settings of our own: what they are called, their type, and which of several places decides.

`ASSAY_*` in the environment beats this clone's `.assay/config.toml`, which beats the user's
`config.toml`. Where the files lie is known above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from assay.base.errors import Usage, did_you_mean


class Setting(msgspec.Struct, frozen=True):
    """One setting: its type, what holds without it, and what it means."""

    type: type
    default: Any
    meaning: str


SETTINGS: dict[str, Setting] = {
    "profile.auto": Setting(bool, True, "profile tables when they are added or produced"),
    "profile.max_size": Setting(
        int, 64_000_000, "bytes; a larger table is profiled by the first command that needs it"
    ),
    "run.log_tail": Setting(int, 200, "lines of a stage's output that its run keeps"),
    "run.max_untracked": Setting(
        int, 10_000_000, "bytes of untracked files that a run may keep and still be reproducible"
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
    """Return a value as the setting's type.

    Raises
    ------
    Usage
        If no setting has this name, or the value does not fit.
    """
    if key not in SETTINGS:
        raise Usage(
            f"there is no setting '{key}'", where=where, hint=did_you_mean(key, SETTINGS)
        )  # fmt: skip
    wanted = SETTINGS[key].type
    if isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    text = str(value).strip().lower()
    if wanted is bool and text in {"true", "false", "1", "0"}:
        return text in {"true", "1"}
    if wanted is int and text.replace("_", "").isdigit():
        return int(text)
    name = {bool: "true or false", int: "a whole number, 0 or more"}[wanted]
    raise Usage(f"'{key}' is {value!r}, not {name}", where=where)


def resolve(key: str, places: Sequence[tuple[str, Mapping[str, Any]]]) -> Any:
    """Return a setting from places, strongest first; each is a name and its settings by key."""
    for where, values in places:
        if key in values:
            return parse(key, values[key], where=where)
    return SETTINGS[key].default
