"""A parameter that has no text is an error that names it, and nothing of its call is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import assay
from assay.ledger import runs, values
from assay.ledger.database import open_ledger
from assay.ledger.sdk import channels
from assay.ledger.writer import Writer


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


class Odd:
    def __str__(self) -> str:
        raise ValueError("this has no text")


NO_TEXT = {
    "digits": (10**5000, "parameter 'it' cannot be written as text: Exceeds the limit"),
    "digits within": ([10**5000], "parameter 'it' cannot be written as text: Exceeds the limit"),
    "depth": (nested(5000), "parameter 'it' cannot be written as text: maximum recursion depth"),
    "its own": (Odd(), "parameter 'it' cannot be written as text: this has no text"),
}


@pytest.mark.parametrize("case", NO_TEXT)
def test_a_value_without_a_text_is_named(case: str):
    value, what = NO_TEXT[case]
    with pytest.raises(assay.Error, match=what) as raised:
        values.dump(value, key="it")
    assert raised.value.hint == "keep it as a file: assay.log_text(...)"
    with pytest.raises(assay.Error, match="the value of a parameter cannot be written"):
        values.dump(value)


def test_parameters_without_an_end_are_an_error():
    endless: dict[str, Any] = {"lr": 0.1}
    endless["again"] = endless
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep, "b": 1}
    for given in (endless, deep):
        with pytest.raises(assay.Error, match="nested too deeply, or hold themselves") as raised:
            values.flatten(given)
        assert raised.value.hint == "log those that matter, each under a name of its own"


def test_nothing_of_the_call_is_recorded_and_the_run_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    with assay.run() as run:
        with pytest.raises(assay.Error, match="parameter 'big'"):
            assay.log_params({"lr": 0.1, "big": 10**5000})
        with pytest.raises(assay.Error, match=r"parameter 'deep\.list'"):
            assay.log_params({"lr": 0.1, "deep": {"list": nested(5000)}})
        assay.log_param("lr", 0.2)
    channels._channels.clear()
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        found = runs.get(ledger, run.id)
        assert (found.status, found.params) == ("finished", {"lr": 0.2})
        with pytest.raises(assay.Error, match="parameter 'big'"):
            Writer(ledger).log_params(run.id, {"seed": 1, "big": 10**5000})
        assert runs.get(ledger, run.id).params == {"lr": 0.2}
