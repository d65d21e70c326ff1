"""What a window raises: drift, broken columns, performance; once, and until it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import alerts
from assay.ledger.lineage import edges_to
from assay.traffic import feedback
from tests.monitor.watched import DECLARED, NOW, World, features, moment, world


@pytest.fixture
def daily(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, window="1d") as made:
        made.deploy()
        yield made


@pytest.fixture
def weekly(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.deploy()
        yield made


def nulls(share: float, *, first: int) -> Any:
    """Return a change that lets a share of `wind` be missing from a day on."""

    def change(inputs: dict[str, list[Any]], day: int) -> None:
        if day >= first:
            n = round(share * len(inputs["wind"]))
            inputs["wind"] = [None] * n + inputs["wind"][n:]

    return change


def test_a_column_that_turns_90_percent_null_alerts_in_that_window(daily: World):
    daily.log(0, 5, change=nulls(0.9, first=3))
    daily.watch()
    (alert,) = [one for one in daily.alerts if one.monitor == "quality"]
    assert (alert.column, alert.window_start, alert.severity) == ("wind", moment(3), "error")
    assert alert.message == (
        "wind is missing in 91% of the rows (never in the training data), 2011-05-26"
    )
    assert alert.value == pytest.approx(22 / 24)


def test_an_open_quality_alert_is_not_raised_again(daily: World):
    daily.log(0, 8, change=nulls(0.5, first=2))
    daily.watch()
    found = [one for one in daily.alerts if one.monitor == "quality"]
    assert [one.window_start for one in found] == [moment(2)]
    assert all(one.details["quality"] for one in daily.windows[2:])
    alerts.resolve(daily.ledger, found[0].id, note="mended, we thought")
    daily.log(8, 2, change=nulls(0.5, first=0))
    daily.watch()
    found = [one for one in daily.alerts if one.monitor == "quality"]
    assert [one.window_start for one in found] == [moment(2), moment(7)]


SCHEMA = """
schema:
  hours:
    columns:
      hour: {type: INT, presence: {min_fraction: 1.0}, int_domain: {min: 0, max: 23}}
      wind: {type: FLOAT, presence: {min_fraction: 0.5}, float_domain: {min: -20, max: 40}}
"""


@pytest.mark.parametrize(
    ("column", "values", "type_", "text"),
    [
        ("hour", [24] * 24, "INT_TYPE_BIG_INT", "hour is above 23 (up to 24) in 100% of the rows"),
        ("hour", [-1] * 24, "INT_TYPE_SMALL_INT", "hour is below 0 (down to -1)"),
        ("hour", [0.5] * 24, "UNEXPECTED_DATA_TYPE", "hour is FLOAT instead of INT in 100%"),
        ("wind", [99.5] * 24, "FLOAT_TYPE_BIG_FLOAT", "wind is above 40 (up to 99.5)"),
        ("busy", [None] * 24, "FEATURE_TYPE_NOT_PRESENT", "busy is missing in 100% of the rows"),
    ],
)
def test_what_the_schema_forbids_alerts_in_that_window(
    daily: World, column: str, values: list[Any], type_: str, text: str
):
    daily.declare(DECLARED.replace("WINDOW", "1d") + SCHEMA)

    def change(inputs: dict[str, list[Any]], day: int) -> None:
        if day == 1:
            inputs[column] = values

    daily.log(0, 3, change=change)
    daily.watch()
    found = [one for one in daily.alerts if one.monitor == "quality"]
    assert [(one.column, one.statistic, one.window_start) for one in found] == [
        (column, type_, moment(1))
    ]
    assert found[0].message.startswith(text)


def test_what_the_schema_allows_does_not_alert(daily: World):
    daily.declare(DECLARED.replace("WINDOW", "1d") + SCHEMA)
    daily.log(0, 4, change=nulls(0.4, first=0))
    daily.watch()
    assert [one for one in daily.alerts if one.monitor == "quality"] == []


def drifted(made: World, *, first: int, days: int, shift: float = 1.5) -> None:
    """Log days, with a wind that is another from the day `first` on."""
    made.log(0, first)
    made.log(first, days - first, columns=features(days - first, seed=5, shift=shift))


def test_a_column_that_drifts_alerts_once_and_says_since_when_and_how_far(weekly: World):
    drifted(weekly, first=14, days=71)
    weekly.watch()
    (alert,) = [one for one in weekly.alerts if one.monitor == "drift"]
    assert (alert.column, alert.statistic, alert.threshold) == ("wind", "js_distance", 0.05)
    assert alert.value is not None
    assert alert.value > 0.15
    assert f"Jensen-Shannon distance {alert.value:.2f} from the training data (0.05 matters)" in (
        alert.message
    )
    assert "2011-06-06" in alert.message  # the Monday of the change
    states = [one.details["columns"]["wind"]["state"] for one in weekly.windows]
    assert states[:2] == ["watching"] * 2
    assert states[-1] == "drifted"
    (edge,) = edges_to(weekly.ledger, alert.thing)
    assert edge.source == f"deployment:{weekly.windows[-1].details['deployment']}"


def test_a_new_reference_resolves_drift_and_the_detectors_begin_anew(weekly: World):
    drifted(weekly, first=14, days=71)
    weekly.watch()
    second = weekly.deploy(2)
    weekly.watch()
    (alert,) = [one for one in weekly.alerts if one.monitor == "drift"]
    assert alert.state == "resolved"
    assert alert.note == f"a new reference was accepted with {second}"
    weekly.log(71, 8, number=2, version=second)
    weekly.watch()
    newest = weekly.windows[-1]
    assert newest.version == second
    assert newest.details["columns"]["wind"]["state"] == "watching"


def test_alerts_of_a_pass_that_was_killed_are_raised_by_the_next(weekly: World):
    from assay.ledger import tables

    drifted(weekly, first=14, days=71)
    raised = weekly.watch().alerts
    with weekly.ledger.write() as connection:  # as if it had died right after put_window
        connection.execute(tables.alert.delete())
    again = weekly.watch(now_ms=NOW + 1)
    assert [(one.message, one.column) for one in again.alerts] == [
        (one.message, one.column) for one in raised
    ]
    assert again.computed == []
    assert weekly.watch().alerts == []


def test_a_model_that_gets_worse_than_at_its_gate_alerts(weekly: World):
    weekly.tell(weekly.log(0, 14))
    weekly.tell(weekly.log(14, 29), off=8.0)
    weekly.watch()
    found = [one for one in weekly.alerts if one.monitor == "performance"]
    assert len(found) == 1
    (alert,) = found
    assert alert.statistic == "mae"
    assert alert.threshold == pytest.approx(8.0 * 1.15)
    assert "mae of rides/1 is" in alert.message
    assert "at its gate it was 8, and 9.2 was the limit; lag has" in alert.message
    measured = alert.details["performance"] if alert.details else {}
    assert measured["rolling"]["low"] > measured["rolling"]["limit"]
    assert {"name", "value", "rolling", "n"} <= set(measured["baseline"])


def test_a_model_that_stays_as_it_was_does_not_alert(weekly: World):
    weekly.tell(weekly.log(0, 57))
    weekly.watch()
    assert [one for one in weekly.alerts if one.monitor == "performance"] == []
    last = weekly.windows[-1].details["performance"]
    assert last["low"] < last["value"] < last["high"]
    assert last["rolling"]["n_days"] == 14
    assert (last["metric"], last["loss"], last["at_gate"]) == ("mae", "mae", 8.0)


def test_the_baseline_is_measured_on_the_same_rows(weekly: World):
    weekly.tell(weekly.log(0, 8))
    weekly.watch()
    measured = weekly.windows[0].details["performance"]
    baseline = measured["baseline"]
    assert (baseline["name"], baseline["n"]) == ("lag", measured["n"])
    assert baseline["model"] == pytest.approx(measured["value"])
    assert baseline["value"] > 0


def test_a_version_without_a_gate_is_shown_and_never_alerts(tmp_path: Path):
    with world(tmp_path) as made:
        made.deploy(gate=None)
        made.tell(made.log(0, 29), off=50)
        made.watch()
        measured = made.windows[-1].details["performance"]
        assert (measured["at_gate"], measured["alert"]) == (None, False)
        assert measured["value"] > 50
        assert made.said == [
            "performance is shown and never alerts: rides/1 never went through a gate"
        ]
        assert [one for one in made.alerts if one.monitor == "performance"] == []


def test_performance_of_another_version_is_not_counted_for_this_one(weekly: World):
    weekly.tell(weekly.log(0, 14), off=30)
    second = weekly.deploy(2)
    weekly.tell(weekly.log(14, 15, number=2, version=second))
    weekly.watch()
    last = weekly.windows[-1].details["performance"]
    assert last["rolling"]["version"] == second
    assert last["rolling"]["n"] == 14 * 24
    assert last["is_worse"] is False
    third = weekly.windows[2].details["performance"]
    assert third["rolling"]["n"] == 7 * 24


def test_a_second_version_that_is_worse_alerts_in_the_same_pass_as_the_first(weekly: World):
    weekly.tell(weekly.log(0, 28), off=20)
    second = weekly.deploy(2)
    weekly.tell(weekly.log(28, 29, number=2, version=second), off=20)
    weekly.watch()
    found = [one for one in weekly.alerts if one.monitor == "performance"]
    assert [(one.state, one.note) for one in found] == [
        ("resolved", f"a new reference was accepted with {second}"),
        ("open", None),
    ]


def test_only_the_columns_that_were_asked_for_are_compared(weekly: World):
    weekly.declare(DECLARED.replace("window: WINDOW", "window: 7d\n  columns: [wind, rain]"))
    weekly.log(0, 8)
    weekly.watch()
    assert list(weekly.windows[0].details["columns"]) == ["wind"]
    assert weekly.said == ["the model does not take 'rain', which monitor.columns names"]


def test_season_baselines_take_logged_truths_of_a_season_before(tmp_path: Path):
    declared = DECLARED.replace("lag: {sql: lag}", "week: {season: 7d}")
    with world(tmp_path, declared=declared) as made:
        made.deploy()
        logged = made.log(0, 15)
        made.tell(logged)
        made.watch()
        first, second = (one.details["performance"] for one in made.windows)
        assert first["baseline"] is None
        assert second["baseline"]["n"] == 7 * 24
        assert second["baseline"]["value"] > second["value"]


CLASSES = (
    DECLARED.replace("task: regression, target: y", "task: binary, target: y, CLASSES")
    .replace("CLASSES", "classes: [calm, busy]")
    .replace("metrics: [mae]", "metrics: [accuracy, log_loss]")
    .replace("lag: {sql: lag}", 'most: {majority: true}\n    rule: {sql: "RULE"}')
    .replace("RULE", "CASE WHEN lag > 55 THEN 'busy' ELSE 'calm' END")
)


@pytest.mark.parametrize(("metric", "loss"), [("accuracy", "1 - accuracy"), ("log_loss",) * 2])
def test_classes_are_watched_by_accuracy_or_by_probabilities(
    tmp_path: Path, metric: str, loss: str
):
    declared = CLASSES.replace("metric: mae", f"metric: {metric}")
    with world(tmp_path, declared=declared, task="binary") as made:
        made.deploy(gate=0.9, metric=metric)
        logged = made.log(0, 8)
        flip = {"busy": "calm", "calm": "busy"}
        feedback.add(
            made.project.traffic_dir,
            [
                made.truth(f"{id_}/{row}", flip[str(said)] if row % 4 == 0 else said)
                for id_, answers in logged
                for row, said in enumerate(answers)
            ],
        )
        made.watch()
        (window,) = made.windows
        measured = window.details["performance"]
        assert (measured["metric"], measured["loss"]) == (metric, loss)
        assert window.n_truths == 7 * 24
        names = [one["name"] for one in measured["baselines"]]
        if metric == "accuracy":
            assert measured["value"] == pytest.approx(0.25)
            assert measured["at_gate"] == pytest.approx(0.1)
            assert names == ["most", "rule"]
        else:
            assert 0 < measured["value"] < 2
            assert names == ["most"]
        assert window.details["prediction"]["n_rows"] == 7 * 24
