"""Page tokens: opaque, and good for the query alone that they came from."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from assay.base.errors import Error


class BadToken(Error):
    """A page token was changed, or belongs to another query."""


class Place(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Where the next page begins: behind the row whose keys of the order have these values.

    Without values it is the first page. What a value is says `assay.ledger.search.following`.
    """

    query: str
    after: tuple[str | int | None, ...] = ()


def mark(*parts: object) -> str:
    """Return what tells one query from another."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def dump(place: Place) -> str:
    """Return a place as a token."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def load(token: str | None, query: str) -> Place:
    """Return the place of a token, or the beginning where there is none.

    Raises
    ------
    BadToken
        If it is none of the query's.

    Examples
    --------
    >>> load(dump(Place(query="q", after=(3, "a"))), "q").after, load("", "q").after
    ((3, 'a'), ())
    """
    if not token:
        return Place(query=query)
    try:
        place = msgspec.json.decode(base64.b64decode(token, altchars=b"-_"), type=Place)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise unreadable() from None
    if place.query != query:
        raise BadToken(
            "the page token belongs to another query",
            hint="ask with the filter, order and experiments that it was answered for",
        )
    return place


def unreadable() -> BadToken:
    """Return the error that a token was changed."""
    return BadToken("the page token cannot be read", hint="give one as it was answered, or none")
