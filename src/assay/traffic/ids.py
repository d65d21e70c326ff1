"""The prediction id: ours, one a request, a UUIDv7; row `i` of the request is `ID/i`.

The id that a client sends is only stored beside it: two clients may send the same one.
"""

from __future__ import annotations

import re

from assay.base.errors import Error
from assay.base.ids import uuid7

_FORM = re.compile(
    r"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"
    r"(?:/(?P<row>0|[1-9][0-9]{0,8}))?",
    re.ASCII,
)


def new_id(*, at_ms: int | None = None) -> str:
    """Return a new prediction id; `at_ms` (Unix milliseconds) is now where it is not given."""
    return uuid7(at_ms=at_ms)


def row_id(prediction_id: str, row: int) -> str:
    """Return the id of one row of a request.

    Examples
    --------
    >>> row_id("01890a5d-ac96-774b-bcce-b302099a8057", 2)
    '01890a5d-ac96-774b-bcce-b302099a8057/2'
    """
    return f"{prediction_id}/{row}"


def split_id(text: str) -> tuple[str, int | None]:
    """Return the request's id and the row that a text names, None where it names none.

    Raises
    ------
    assay.Error
        If the text is not `ID` or `ID/ROW`.

    Examples
    --------
    >>> split_id("01890a5d-ac96-774b-bcce-b302099a8057/2")
    ('01890a5d-ac96-774b-bcce-b302099a8057', 2)
    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None:
        raise Error(
            f"{text[:80]!r} is no prediction id",
            hint="give the text of the header 'Assay-Prediction-Id', with '/ROW' for one row",
        )
    row = match["row"]
    return match["id"], None if row is None else int(row)


def time_of(prediction_id: str) -> int:
    """Return when a prediction id was made, in Unix milliseconds.

    Examples
    --------
    >>> time_of(new_id(at_ms=1_325_376_000_000))
    1325376000000
    """
    return int(prediction_id[:8] + prediction_id[9:13], 16)
