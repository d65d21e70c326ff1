"""Windows: computed once; only a truth that was partial is filled in."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.ledger.database import Ledger
from assay.ledger.windows import Window, list_windows, put_window, update_window


def window(start: int = 0, **other: Any) -> Window:
    values: dict[str, Any] = {
        "endpoint": "e", "start": start, "end": start + 7, "bundle": "sha256:1", "version": "m/1",
        "state": "partial", "n_rows": 10, "n_truths": 0, "computed": 5,
        "details": {"columns": {"x": {"p": 0.5, "alert": None}}},
    }  # fmt: skip
    return Window(**values | other)


def test_a_window_comes_back_as_it_was_put_and_is_put_once(ledger: Ledger):
    assert put_window(ledger, window())
    assert not put_window(ledger, window(n_rows=99))
    assert put_window(ledger, window(endpoint="other", bundle=None, version=None))
    assert list_windows(ledger, "e") == [window()]


def test_windows_are_listed_oldest_first_and_the_newest_are_kept(ledger: Ledger):
    for start in (14, 0, 7):
        put_window(ledger, window(start))
    assert list_windows(ledger, "e") == [window(0), window(7), window(14)]
    assert list_windows(ledger, "e", since=7) == [window(7), window(14)]
    assert list_windows(ledger, "e", limit=1) == [window(14)]
    assert list_windows(ledger, "e", since=15) == list_windows(ledger, "none") == []


def test_only_the_truth_of_a_partial_window_is_filled_in(ledger: Ledger):
    put_window(ledger, window())
    filled = window(
        state="complete", n_truths=9, details={"a": 1}, n_rows=99, bundle="sha256:2", computed=9
    )
    assert update_window(ledger, filled)
    (found,) = list_windows(ledger, "e")
    expected = msgspec.structs.replace(window(), state="complete", n_truths=9, details={"a": 1})
    assert found == expected
    assert not update_window(ledger, window(n_truths=1))
    assert not update_window(ledger, window(7))
    assert list_windows(ledger, "e") == [expected]
