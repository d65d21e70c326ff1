"""A pass computes what is due, once, and says what it saw."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error, Usage
from assay.ledger.database import open_ledger
from assay.monitor.watch import watch
from assay.project.workspace import Project
from assay.traffic import feedback
from assay.traffic.ids import new_id
from tests.monitor.watched import DAY, DECLARED, HOUR, NOW, World, features, iso, moment, world


@pytest.fixture
def weekly(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.deploy()
        yield made


@pytest.fixture
def daily(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, window="1d") as made:
        made.deploy()
        yield made


def test_windows_are_computed_once_the_watermark_has_passed_them(weekly: World):
    weekly.log(0, 7)
    assert weekly.watch().computed == []
    weekly.log(7, 8)
    watched = weekly.watch()
    assert [(one.start, one.end) for one in watched.computed] == [
        (moment(0), moment(7)), (moment(7), moment(14)),
    ]  # fmt: skip
    assert watched.watermark == moment(14) + 23 * HOUR
    first = watched.computed[0]
    assert (first.n_rows, first.version, first.state) == (7 * 24, "rides/1", "partial")
    assert first.details["columns"]["wind"]["state"] == "watching"
    assert first.details["columns"]["wind"]["p"] > 0
    assert set(first.details["columns"]) == {"hour", "wind", "lag", "busy"}
    assert first.details["prediction"]["x"] >= 0


def test_the_declared_lateness_holds_a_window_back(weekly: World):
    weekly.declare(DECLARED.replace("WINDOW", "7d").replace("key:", "lateness: 2d, key:"))
    weekly.log(0, 9)
    assert weekly.watch().computed == []
    weekly.log(9, 1)
    assert len(weekly.watch().computed) == 1


def test_a_second_pass_changes_nothing(weekly: World):
    weekly.tell(weekly.log(0, 29))
    first = weekly.watch()
    before = (weekly.windows, weekly.alerts)
    again = weekly.watch(now_ms=NOW + DAY)
    assert len(first.computed) == 4
    assert (again.computed, again.completed, again.alerts) == ([], [], [])
    assert (weekly.windows, weekly.alerts) == before


def test_detectors_go_on_from_the_stored_windows(tmp_path: Path):
    def state(made: World) -> list[object]:
        return [one.details["columns"] for one in made.windows]

    with world(tmp_path / "at once", window="1d") as one:
        one.deploy()
        one.log(0, 15, seed=1)
        one.watch()
        expected = state(one)
    with world(tmp_path / "in steps", window="1d") as many:
        many.deploy()
        columns = features(15, seed=1)
        for day in range(15):
            part = {name: values[day * 24 : day * 24 + 24] for name, values in columns.items()}
            many.log(day, 1, columns=part)
            many.watch()
        assert state(many) == expected


def test_a_window_with_three_rows_is_kept_and_says_that_it_has_too_few(daily: World):
    daily.tell(daily.log(0, 1, per_day=3))
    daily.log(1, 1)
    (window,) = daily.watch().computed
    assert (window.n_rows, window.n_truths, window.state) == (3, 3, "complete")
    assert window.details["columns"]["wind"]["reason"] == "too few rows"
    assert window.details["performance"]["low"] is None
    assert window.details["performance"]["why"] == "too few days with truth"
    assert daily.alerts == []


def test_a_window_with_rows_on_its_last_days_only_is_no_week_to_compare(weekly: World):
    weekly.log(4, 11)  # from Friday on: three days of the first week
    first, second = weekly.watch().computed
    for one in first.details["columns"].values():
        assert (one["reason"], one["n_rows"]) == ("rows on 3 of 7 days", 3 * 24)
        assert "x" not in one
    assert all("x" in one for one in second.details["columns"].values())


def test_empty_windows_of_a_gap_are_skipped(daily: World):
    daily.log(0, 2)
    daily.log(10, 2)
    days = [(one.start - moment(0)) // DAY for one in daily.watch().computed]
    assert days == [0, 1, 10]


def test_event_times_that_jump_back_are_late_and_change_no_window(daily: World):
    daily.log(0, 5)
    daily.watch()
    before = daily.windows
    back = [moment(1) + HOUR * row for row in range(24)]
    daily.log(5, 1, times=back, at=moment(6))
    watched = daily.watch()
    assert (watched.n_late, watched.computed) == (24, [])
    assert daily.windows == before
    daily.log(5, 2, at=moment(7))
    computed = daily.watch().computed
    assert [one.details["n_late"] for one in computed] == [24, 0]
    assert daily.watch().n_late == 0


def test_event_times_from_the_future_do_not_move_the_watermark(daily: World):
    daily.log(0, 3)
    ahead = [moment(400) + HOUR * row for row in range(24)]
    daily.log(3, 1, times=ahead, at=moment(3))
    watched = daily.watch()
    assert watched.n_future == 24
    assert watched.watermark == moment(2) + 23 * HOUR
    assert len(watched.computed) == 2


def test_rows_without_event_time_are_counted_and_not_used(daily: World):
    daily.log(0, 2)
    daily.log(2, 1, times=[None] * 24)
    watched = daily.watch()
    assert (watched.n_untimed, len(watched.computed)) == (24, 1)


def test_live_files_of_a_server_are_read_like_finished_ones(daily: World):
    daily.log(0, 3, rolled=False)
    assert [one.n_rows for one in daily.watch().computed] == [24, 24]


def test_the_last_version_of_a_window_gives_the_reference(weekly: World):
    weekly.log(0, 4)
    second = weekly.deploy(2)
    weekly.log(4, 4, number=2, version=second)
    (window,) = weekly.watch().computed
    assert window.version == second
    assert window.details["versions"] == {"rides/1": 96, "rides/2": 72}


def test_a_bundle_that_is_not_here_leaves_numbers_of_serving(daily: World):
    daily.log(0, 2, change=None)
    for path in (daily.project.assay_dir / "objects" / "sha256").rglob("*"):
        if path.is_file():
            path.unlink()
    (window,) = daily.watch().computed
    assert window.details["columns"] == {}
    assert window.details["serving"]["n_requests"] == 1
    assert any(text.startswith("no drift of sha256:") for text in daily.said)


def test_requests_that_failed_count_as_errors_and_want_no_truth(daily: World):
    daily.tell(daily.log(0, 1, per_day=12))
    daily.log(0, 1, status="failed", per_day=4)
    daily.log(1, 1)
    (window,) = daily.watch().computed
    serving = window.details["serving"]
    assert (serving["n_requests"], serving["n_errors"]) == (2, 1)
    assert serving["latency"] == {"p50": 2.0, "p95": 2.0, "p99": 2.0}
    assert (window.n_rows, window.n_truths, window.state) == (16, 12, "complete")


def test_truth_that_comes_later_completes_a_window(weekly: World):
    logged = weekly.log(0, 8)
    weekly.tell(logged[:3])
    (window,) = weekly.watch().computed
    assert (window.state, window.n_truths) == ("partial", 72)
    assert window.details["performance"]["n"] == 72
    weekly.tell(logged[3:5])
    assert weekly.watch().completed == []
    assert weekly.windows[0].n_truths == 120
    weekly.tell(logged[5:7])
    (done,) = weekly.watch().completed
    assert (done.state, done.n_truths) == ("complete", 168)
    assert done.details["columns"] == window.details["columns"]


def test_without_truth_a_window_is_complete_after_the_delay(weekly: World):
    weekly.log(0, 22)
    watched = weekly.watch()
    assert [one.state for one in watched.computed] == ["complete", "partial", "partial"]
    assert "performance" not in watched.computed[0].details
    weekly.log(22, 7)
    assert [one.start for one in weekly.watch().completed] == [moment(7)]


def test_truth_for_ids_that_nobody_knows_does_no_harm(daily: World):
    daily.tell(daily.log(0, 2))
    unknown = [World.truth(f"{new_id()}/{row}", 1.0) for row in range(5)]
    feedback.add(daily.project.traffic_dir, unknown)
    (window,) = daily.watch().computed
    assert window.n_truths == 24


def test_truth_that_is_changed_counts_until_the_window_is_complete(daily: World):
    logged = daily.log(0, 2)
    (id_, answers), *_ = logged
    feedback.add(
        daily.project.traffic_dir,
        [World.truth(f"{id_}/{row}", answers[row] + 1, at=NOW) for row in range(20)],
    )
    (window,) = daily.watch().computed
    assert window.state == "partial"
    assert window.details["performance"]["value"] == pytest.approx(1.0)
    feedback.add(
        daily.project.traffic_dir,
        [World.truth(f"{id_}/{row}", answers[row] + 3, at=NOW + 1) for row in range(24)],
    )
    (done,) = daily.watch().completed
    assert done.details["performance"]["value"] == pytest.approx(3.0)
    feedback.add(
        daily.project.traffic_dir,
        [World.truth(f"{id_}/{row}", answers[row] + 9, at=NOW + 2) for row in range(24)],
    )
    daily.watch()
    assert daily.windows == [done]


def test_truths_of_two_types_leave_all_but_performance(daily: World):
    logged = daily.log(0, 2)
    feedback.add(
        daily.project.traffic_dir,
        [World.truth(f"{logged[0][0]}/0", "many"), World.truth(f"{logged[0][0]}/1", 3.5)],
    )
    (window,) = daily.watch().computed
    assert window.details["columns"]["wind"]["n_rows"] == 24
    assert any("no performance" in text for text in daily.said)


def test_two_passes_at_once_store_each_window_once(daily: World):
    daily.log(0, 6)
    daily.log(6, 8, change=broken)
    passes = [threading.Thread(target=pass_alone, args=(daily.project,)) for _ in range(2)]
    for one in passes:
        one.start()
    for one in passes:
        one.join()
    assert [one.start for one in daily.windows] == [moment(day) for day in range(13)]
    assert [one.column for one in daily.alerts if one.monitor == "quality"] == ["wind"]


def broken(inputs: dict[str, list[Any]], _: int) -> None:
    """Let a column be missing."""
    inputs["wind"] = [None] * len(inputs["wind"])


def pass_alone(project: Project) -> None:
    """Do a pass with a ledger of its own."""
    with open_ledger(project.ledger_path) as ledger:
        watch(project, ledger, now_ms=NOW, threads=1)


@pytest.mark.parametrize(("window", "what"), [("12h", "whole days"), ("0d", "whole days")])
def test_a_window_that_is_not_whole_days_is_refused(weekly: World, window: str, what: str):
    weekly.declare(DECLARED.replace("WINDOW", window))
    with pytest.raises(Error, match=what):
        weekly.watch()


def test_a_metric_that_is_no_mean_is_refused(weekly: World):
    weekly.declare(DECLARED.replace("WINDOW", "7d").replace("metric: mae", "metric: rmse"))
    with pytest.raises(Usage, match="not a mean over rows"):
        weekly.watch()


def test_without_a_declared_monitor_the_way_to_one_is_told(weekly: World):
    weekly.declare("deploy: {endpoint: rides}\n")
    with pytest.raises(Usage, match="no monitor is declared"):
        weekly.watch()


def test_an_endpoint_without_traffic_has_no_windows(weekly: World):
    watched = weekly.watch()
    assert (watched.watermark, watched.computed) == (None, [])


def test_times_are_shown_as_servers_log_them():
    assert iso(moment(0)) == "2011-05-23T00:00:00"
