"""The body of `POST /feedback`: one truth, or a list of them."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.base.errors import Error
from assay.serve import bodies
from assay.serve.limits import Refused, sentence
from assay.traffic import feedback
from assay.traffic.record import Truth
from assay.traffic.targets import Targets

MOST = 100_000


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A truth as a client sends it.

    Attributes
    ----------
    value : value
        What the prediction should have been.
    prediction_id : str, optional
        The text of `Assay-Prediction-Id`, with "/ROW" where the request had several rows.
    column, key : str and value, optional
        Instead of an id: a column that was sent, and the value in it.
    at : int, optional
        When it became known, in Unix milliseconds; now, where it is not given.
    source : str, optional
        Who says so.
    """

    value: Any
    prediction_id: str | None = None
    column: str | None = None
    key: bool | int | float | str | None = None
    at: int | None = None
    source: str | None = None


def decode(body: bytes, *, endpoint: str, at: int, expected: Targets | None = None) -> list[Truth]:
    """Return the truths of a body; `expected` is what they can be.

    Raises
    ------
    Refused
        If one is none; then none is kept.
    """
    try:
        found = bodies.decode(_GIVEN, body)
    except Refused as error:
        raise _misnamed(body) or error from None
    given = found if isinstance(found, list) else [found]
    if len(given) > MOST:
        raise Refused(413, f"there are {len(given)} truths; at most {MOST} go at a time")
    truths = []
    for number, one in enumerate(given, start=1):
        try:
            truths.append(
                feedback.truth(
                    one.value, at=at if one.at is None else one.at, endpoint=endpoint,
                    prediction_id=one.prediction_id, column=one.column, key=one.key,
                    source=one.source, expected=expected,
                )
            )  # fmt: skip
        except Error as error:
            place = f"truth {number}: " if isinstance(found, list) else ""
            raise Refused(400, place + sentence(error)) from error
    return truths


def _misnamed(body: bytes) -> Refused | None:
    """Return what to say of a body that has a key under a name that it does not have here."""
    for keys in bodies.keys(body):
        for key in keys:
            meant = _MEANT.get(key.lower())
            if key not in _KEYS and meant is not None and meant not in keys:
                return Refused(
                    400,
                    f"'{key[:60]}' is not known: a truth has 'value' and 'prediction_id', or "
                    "'column' and 'key' instead of that",
                    hint=f"write '{meant}'",
                )
    return None


_KEYS = frozenset(Given.__struct_fields__)
_MEANT = {
    **dict.fromkeys(("id", "predictionid", "prediction-id", "prediction"), "prediction_id"),
    **dict.fromkeys(("truth", "target", "label", "actual", "y", "ground_truth"), "value"),
}
"""What others call the keys of a truth."""
_GIVEN: msgspec.json.Decoder[Given | list[Given]] = msgspec.json.Decoder(Given | list[Given])
