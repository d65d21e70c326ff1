"""The page of reference says what is true of the server."""

from __future__ import annotations

import inspect
from pathlib import Path

import msgspec

from assay.serve.limits import Limits
from assay.traffic.spool import Spool
from tests.serve.running import Served

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "serving.md").read_text()


def test_every_limit_is_on_the_page():
    section = PAGE.partition("## Limits")[2].partition("## ")[0]
    for value in msgspec.structs.asdict(Limits()).values():
        assert any(form in section for form in (f"{value:,} ", f" {value} ", f" {value:g} s"))


def test_every_metric_is_on_the_page_and_no_other(served: Served):
    served.predict([])
    text = served.ask("GET", "/metrics").body.decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    section = PAGE.partition("## Metrics")[2]
    rows = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert rows == names


def test_the_log_is_written_as_the_page_says():
    parameters = inspect.signature(Spool).parameters
    defaults = {name: one.default for name, one in parameters.items()}
    assert defaults["flush_seconds"] == 0.2
    assert defaults["roll_seconds"] == 600
    assert defaults["roll_size"] == 64_000_000
