"""Prediction ids name a request or one of its rows, and say when it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.traffic import ids


@given(at=st.integers(0, 2**47), row=st.integers(0, 10**9 - 1))
def test_an_id_of_a_row_splits_into_what_it_was_made_of(at, row):
    made = ids.new_id(at_ms=at)

    assert ids.split_id(ids.row_id(made, row)) == (made, row)
    assert ids.split_id(made.upper()) == (made, None)
    assert ids.time_of(made) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17",
        "550e8400-e29b-41d4-a716-446655440000",  # version 4
        "01890a5d-ac96-774b-bcce-b302099a8057/",
        "01890a5d-ac96-774b-bcce-b302099a8057/01",
        "01890a5d-ac96-774b-bcce-b302099a8057/-1",
        "01890a5d-ac96-774b-bcce-b302099a8057/1/2",
    ],
)
def test_what_is_no_prediction_id_is_refused(text):
    with pytest.raises(Error, match="is no prediction id"):
        ids.split_id(text)
