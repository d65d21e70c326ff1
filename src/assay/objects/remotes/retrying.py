"""Try again what a network broke off: with longer and longer waits, and not for ever.

A remote raises `Dropped` for what may work the next time: a connection that ended, a 5xx, a 429.
All else is final.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from assay.base.errors import Error

T = TypeVar("T")

TRIES = 5
_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 30.0


class Dropped(Exception):
    """The other side broke off, or asked to come back later.

    Parameters
    ----------
    what : str
        What happened, for people, without secrets.
    wait : float, optional
        The seconds that the other side asked for.
    """

    def __init__(self, what: str, *, wait: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.wait = wait


class Stopped(Exception):
    """Another transfer failed for good, or a person interrupted: there is no point in going on."""


def persevere(
    call: Callable[[], T], *, where: str, stop: Event | None = None, tries: int = TRIES
) -> T:
    """Return what `call` returns, trying again when it is dropped.

    Raises
    ------
    Error
        After the last try.
    """
    stop = stop or Event()
    for number in range(1, tries + 1):
        if stop.is_set():
            raise Stopped
        try:
            return call()
        except Dropped as dropped:
            if number == tries:
                raise Error(
                    f"{dropped.what} (tried {tries} times)",
                    where=where,
                    hint="look at the network or the server, then run the command again: "
                    "what is done stays done",
                ) from None  # the caller must not try five times more
            stop.wait(_pause(number, dropped.wait))
    raise AssertionError


def _pause(number: int, asked: float | None) -> float:
    """Return the seconds before the next try: doubled each time, and spread."""
    grown: float = _FIRST_SECONDS * 2 ** (number - 1) * random.uniform(0.5, 1)  # noqa: S311 -- no secret
    return min(max(grown, asked or 0), _LONGEST_SECONDS)
