"""`assay monitor` and `assay alerts` say what was seen, and take an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make
from tests.monitor.test_alerts import nulls
from tests.monitor.watched import World, world


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.deploy()
        made.tell(made.log(0, 15, change=nulls(0.9, first=8)))
        yield made


def test_the_table_shows_each_window_and_what_is_open(watched: World):
    out = make.done(watched.project.root, "monitor")
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "window"
    assert "95% interval" in lines[0]
    assert "at gate" in lines[0]
    assert lines[1].startswith("2011-05-23 to 2011-05-29   168   100%  complete  rides/1")
    assert "wind broken" in lines[2]
    assert "wind is missing in 78% of the rows" in out
    assert make.done(watched.project.root, "monitor").splitlines() == lines
    assert len(make.done(watched.project.root, "monitor", "--last", "1").splitlines()) == (
        len(lines) - 1
    )


def test_as_json_it_is_one_document(watched: World):
    document = json.loads(make.done(watched.project.root, "monitor", "rides", "--json"))
    assert len(document["windows"]) == 2
    assert document["watched"]["computed"][0]["n_rows"] == 168
    assert {one["monitor"] for one in document["alerts"]} == {"quality", "drift"}


def test_an_alert_is_shown_acknowledged_and_resolved(watched: World):
    root = watched.project.root
    assert make.done(root, "alerts", "list").startswith("No open alerts")
    make.done(root, "monitor")
    listed = json.loads(make.done(root, "alerts", "list", "rides", "--json"))
    id_ = next(one["id"] for one in listed if one["monitor"] == "quality")
    shown = make.done(root, "alerts", "show", id_)
    assert "wind is missing in 78% of the rows" in shown
    assert "FEATURE_TYPE_LOW_FRACTION_PRESENT" in shown
    assert f"{id_} is acknowledged" in make.done(root, "alerts", "ack", id_, "--note", "Ada looks")
    assert "acknowledged" in make.done(root, "alerts", "list")
    assert f"{id_} is resolved" in make.done(root, "alerts", "resolve", id_)
    assert id_ not in make.done(root, "alerts", "list")
    assert id_ in make.done(root, "alerts", "list", "--all")


def test_an_endpoint_that_is_not_there_is_named_with_the_nearest(watched: World):
    shown = make.assay(watched.project.root, "monitor", "ridse")
    assert shown.code == 255
    assert "did you mean 'rides'?" in shown.err


def test_a_project_without_a_monitor_says_what_to_write(tmp_path: Path):
    root = make.project(tmp_path)
    shown = make.assay(root, "monitor")
    assert shown.code == 2
    assert "no monitor is declared" in shown.err
    assert make.done(root, "alerts", "list").startswith("No open alerts")


def test_without_traffic_it_says_so(tmp_path: Path):
    with world(tmp_path) as made:
        made.deploy()
        out = make.done(made.project.root, "monitor")
        assert out == "No predictions of 'rides' with an event time yet.\n"
        made.log(0, 2)
        assert "No window is over yet; rows came up to 2011-05-24T23:00:00Z" in make.done(
            made.project.root, "monitor"
        )
