"""What a model needs installed to be what it was: Python's minor version and a few packages."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import msgspec

from assay.base.errors import Error


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions; no platform and no path.

    Attributes
    ----------
    python : str
        Such as "3.11".
    packages : dict
        Version by name, of the packages that the model needs.
    """

    python: str
    packages: dict[str, str]


def capture(packages: Iterable[str]) -> Environment:
    """Return the versions of this process."""
    return Environment(
        python=_python(), packages={name: _version(name) or "" for name in sorted(packages)}
    )


def differences(recorded: Environment) -> list[str]:
    """Say in words where this process is not what a model needs.

    Examples
    --------
    >>> differences(Environment(python="2.7", packages={}))[0].endswith("made with 2.7")
    True
    """
    words = []
    if recorded.python != _python():
        words.append(f"Python is {_python()}, the bundle was made with {recorded.python}")
    for name, wanted in recorded.packages.items():
        found = _version(name)
        if found is None:
            words.append(f"{name} is not installed, the bundle was made with {wanted}")
        elif found != wanted:
            words.append(f"{name} is {found}, the bundle was made with {wanted}")
    return words


def check(recorded: Environment, *, where: str) -> None:
    """Raise where this process is not what a model needs."""
    found = differences(recorded)
    if found:
        wanted = " ".join(f"'{name}=={version}'" for name, version in recorded.packages.items())
        raise Error(
            f"the bundle needs another environment: {'; '.join(found)}",
            where=where,
            hint=f"use Python {recorded.python} with: pip install {wanted}",
        )


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
