"""Alerts: raised once, acknowledged by a person, resolved for good."""

from __future__ import annotations

import pytest

from assay.base.errors import Error, NotFound
from assay.ledger import alerts, lineage
from assay.ledger.database import Ledger


def test_an_alert_comes_back_with_its_evidence_and_its_deployment_raised_it(ledger: Ledger):
    alert, is_new = alerts.raise_alert(
        ledger, "e", monitor="drift", message="it drifts", column="temp", statistic="chi-square",
        value=9.5, threshold=4.0, severity="error", window_start=0, window_end=7, deployment="d1",
        details={"since": "2012-01-02"}, at=5,
    )  # fmt: skip
    assert is_new
    assert alerts.get(ledger, alert.id) == alerts.get(ledger, alert.thing) == alert
    assert (alert.value, alert.threshold, alert.details) == (9.5, 4.0, {"since": "2012-01-02"})
    assert (alert.state, alert.at, alert.acknowledged, alert.resolved) == ("open", 5, None, None)
    (edge,) = lineage.edges_to(ledger, alert.thing)
    assert (edge.source, edge.relation) == ("deployment:d1", "raised")


def test_an_alert_is_one_for_each_endpoint_monitor_column_and_window(ledger: Ledger):
    kinds: list[tuple[str, alerts.Monitor, str | None, int | None]] = [
        ("e", "drift", "a", 7), ("f", "drift", "a", 7), ("e", "quality", "a", 7),
        ("e", "drift", "b", 7), ("e", "drift", None, 7), ("e", "drift", "a", 14),
        ("e", "drift", "a", None), ('e","drift', "drift", "a", 7), ("e", "drift", '","a', 7),
    ]  # fmt: skip
    for is_first in (True, False):
        for endpoint, monitor, column, end in kinds:
            _, is_new = alerts.raise_alert(
                ledger, endpoint, monitor=monitor, column=column, window_end=end,
                message="m", deployment=None if is_first else "d",
            )  # fmt: skip
            assert is_new is is_first
    assert len(alerts.list_alerts(ledger)) == len(kinds)
    assert lineage.edges_from(ledger, "deployment:d") == []


def test_an_alert_that_was_resolved_is_not_raised_again(ledger: Ledger):
    alert, _ = alerts.raise_alert(ledger, "e", monitor="quality", message="m")
    resolved = alerts.resolve(ledger, alert.id, note="fixed", at=9)
    assert alerts.raise_alert(ledger, "e", monitor="quality", message="n") == (resolved, False)


def test_an_alert_goes_from_open_over_acknowledged_to_resolved_and_stays_there(ledger: Ledger):
    alert, _ = alerts.raise_alert(ledger, "e", monitor="quality", message="m", at=1)
    for at in (2, 3):
        known = alerts.acknowledge(ledger, alert.id, note="by Ann", at=at)
        assert (known.state, known.acknowledged, known.note) == ("acknowledged", 2, "by Ann")
    for at in (4, 5):
        done = alerts.resolve(ledger, alert.id, at=at)
        assert (done.state, done.resolved, done.note) == ("resolved", 4, "by Ann")
    assert alerts.resolve(ledger, alert.id, note="later") == done
    assert alerts.acknowledge(ledger, alert.id, note="later", at=6) == done


def test_alerts_are_listed_newest_first_by_endpoint_and_state(ledger: Ledger):
    made = [
        alerts.raise_alert(ledger, "e", monitor="drift", message="m", window_end=end, at=end)[0]
        for end in (1, 2, 3)
    ]
    other, _ = alerts.raise_alert(ledger, "f", monitor="drift", message="m", at=9)
    known = alerts.acknowledge(ledger, made[1].id)
    done = alerts.resolve(ledger, made[2].id)
    assert alerts.list_alerts(ledger) == [other, done, known, made[0]]
    assert alerts.list_alerts(ledger, "e", states={"open"}) == [made[0]]
    assert alerts.list_alerts(ledger, "e", states={"open", "acknowledged"}) == [known, made[0]]
    assert alerts.list_alerts(ledger, states={"resolved"}) == [done]
    assert alerts.list_alerts(ledger, "e", limit=2) == [done, known]
    assert alerts.list_alerts(ledger, states=set()) == []


def test_a_value_that_is_no_number_is_not_known_and_an_infinite_one_stays(ledger: Ledger):
    alert, _ = alerts.raise_alert(
        ledger, "e", monitor="drift", message="m", value=float("nan"), threshold=float("inf")
    )
    assert (alert.value, alert.threshold) == (None, float("inf"))


def test_an_alert_is_found_by_the_unique_beginning_of_its_id(ledger: Ledger):
    one, _ = alerts.raise_alert(ledger, "e", monitor="drift", message="m", window_end=1)
    two, _ = alerts.raise_alert(ledger, "e", monitor="drift", message="m", window_end=2)
    assert alerts.get(ledger, two.id[:-1].upper()) == two
    with pytest.raises(Error, match=r"is the beginning of several alerts: .*\n.*more of the id"):
        alerts.get(ledger, one.id[:4])
    for name in ("", "alert:", "x", "%", f"{one.id}0"):
        with pytest.raises(NotFound, match="there is no alert"):
            alerts.get(ledger, name)
    with pytest.raises(NotFound, match="there is no alert"):
        alerts.resolve(ledger, "x")
