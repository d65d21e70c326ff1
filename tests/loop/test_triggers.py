"""Which trigger starts a retraining, in which order, and how long it has to wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.ledger.alerts import Alert
from assay.ledger.decisions import Decision
from assay.loop import triggers
from assay.loop.triggers import Due, Situation, Waiting
from assay.project.declaration import Retrain

DAY = 86_400_000
WEEK = 7 * DAY
NOW = 1_325_376_000_000  # the wall clock
ALL = Retrain(on=["drift", "performance", "data"], every="28d")


def alert(monitor: Any, *, id_: str = "a", window_end: int = 10 * WEEK, **changes: Any) -> Alert:
    """Return an open alert."""
    given: dict[str, Any] = {
        "id": id_, "endpoint": "bikes", "monitor": monitor, "column": None, "statistic": None,
        "value": None, "threshold": None, "severity": "warning", "message": f"{monitor} of {id_}",
        "window_start": None, "window_end": window_end, "deployment": None, "at": NOW,
        "state": "open", "acknowledged": None, "resolved": None, "note": None, "details": None,
    }  # fmt: skip
    return Alert(**given | changes)


def decision(trigger: Any, window_end: int, outcome: Any = "deployed", **changes: Any) -> Decision:
    """Return a decision; one without an outcome is not finished."""
    given: dict[str, Any] = dict.fromkeys(Decision.__struct_fields__)
    given |= {
        "id": "d", "endpoint": "bikes", "trigger": trigger, "window_end": window_end, "at": NOW,
        "state": "finished" if outcome else "started", "step": "begun", "outcome": outcome,
        "details": {},
    }  # fmt: skip
    return Decision(**given | changes)


def state(**changes: Any) -> Situation:
    """Return how things stand after ten weeks."""
    given: dict[str, Any] = {
        "alerts": [], "decisions": [], "window_end": 10 * WEEK, "since": 8 * WEEK,
        "n_new_rows": 0, "now_ms": NOW, "window_ms": WEEK,
    }  # fmt: skip
    return Situation(**given | changes)


def trigger(declared: Retrain, **changes: Any) -> str | None:
    """Return which trigger is due, None where none is."""
    found = triggers.due(declared, state(**changes))
    return found.trigger if isinstance(found, Due) else None


def test_performance_comes_first_then_drift_data_and_the_schedule() -> None:
    stands: dict[str, Any] = {
        "alerts": [alert("drift", id_="d"), alert("performance", id_="p")],
        "n_new_rows": 168,
        "since": 0,
    }
    found = triggers.due(ALL, state(**stands))
    assert found == Due(
        trigger="performance", window_end=10 * WEEK, reason="performance of p", alert="p"
    )
    stands["alerts"].pop()
    assert trigger(ALL, **stands) == "drift"
    stands["alerts"].pop()
    assert trigger(ALL, **stands) == "data"
    stands["n_new_rows"] = 0
    assert trigger(ALL, **stands) == "schedule"
    stands["since"] = 7 * WEEK
    assert triggers.due(ALL, state(**stands)) is None


@pytest.mark.parametrize(
    ("monitor", "found"),
    [("prediction drift", "drift"), ("quality", None), ("retraining", None)],
)
def test_only_drift_and_performance_trigger(monitor: str, found: str | None) -> None:
    assert trigger(ALL, alerts=[alert(monitor)]) == found


def test_what_is_not_declared_does_not_trigger() -> None:
    every = {"alerts": [alert("drift"), alert("performance")], "n_new_rows": 5, "since": 0}
    assert trigger(Retrain(), **every) is None
    assert trigger(Retrain(on=["drift"]), **every) == "drift"
    assert trigger(ALL, **every, window_end=None) is None
    assert trigger(ALL, alerts=[alert("drift", state="resolved")]) is None


def test_an_alert_without_a_decision_counts_before_one_that_has_one() -> None:
    alerts = [alert("drift", id_="b"), alert("drift", id_="a", window_end=9 * WEEK)]
    before = [decision("drift", 8 * WEEK, alert="b")]
    found = triggers.due(ALL, state(alerts=alerts, decisions=before))
    assert isinstance(found, Due)
    assert found.alert == "a"


def test_one_that_has_not_ended_lets_no_other_start() -> None:
    found = triggers.due(
        ALL, state(alerts=[alert("drift")], decisions=[decision("hand", WEEK, None, id="dd")])
    )
    assert found == Waiting(
        trigger="drift", until=None, reason="the retraining dd has not ended yet"
    )


def test_two_lie_at_least_a_window_apart_or_what_is_declared() -> None:
    stands = {"alerts": [alert("drift")], "decisions": [decision("performance", 9 * WEEK + DAY)]}
    found = triggers.due(ALL, state(**stands))
    assert isinstance(found, Waiting)
    assert (found.trigger, found.until) == ("drift", 10 * WEEK + DAY)
    assert found.reason == (
        "drift of a; at most one retraining every 7d: waits until 1970-03-13T00:00:00Z of "
        "event time"
    )
    shorter = Retrain(on=["drift"], at_most_every="6d")
    assert trigger(shorter, **stands) == "drift"
    none = Retrain(on=["drift"], at_most_every="0s")
    assert trigger(none, alerts=[alert("drift")], decisions=[decision("data", 10 * WEEK)]) is None


@pytest.mark.parametrize(
    ("n", "weeks"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 16), (50, 16)]
)
def test_after_refusals_in_a_row_an_alert_waits_twice_as_long_each_time(
    n: int, weeks: int
) -> None:
    outcomes = ["refused", "inconclusive", "failed"]
    last = 100 * WEEK
    before = [decision("drift", last - k * WEEK, outcomes[k % 3]) for k in range(n)]
    before.append(decision("drift", last - n * WEEK, "deployed"))
    before.append(decision("drift", last - (n + 1) * WEEK, "refused"))
    for what in ({"alerts": [alert("drift")]}, {"n_new_rows": 3}):
        stands: dict[str, Any] = {"decisions": before, "since": last, **what}
        assert trigger(Retrain(on=["drift", "data"]), **stands, window_end=last + weeks * WEEK)
        found = triggers.due(
            Retrain(on=["drift", "data"]), state(**stands, window_end=last + weeks * WEEK - 1)
        )
        assert isinstance(found, Waiting)
        assert found.until == last + weeks * WEEK
        assert (f"after {n} refusals in a row" in found.reason) == (n > 1)


def test_the_schedule_keeps_its_cadence_through_refusals_and_other_retrainings() -> None:
    before = [
        decision("drift", 7 * WEEK, "failed"),
        *[decision("schedule", 6 * WEEK, "refused")] * 5,
    ]
    stands: dict[str, Any] = {"decisions": before, "alerts": [alert("drift")], "since": 0}
    found = triggers.due(ALL, state(**stands))
    assert isinstance(found, Due)
    assert found.trigger == "schedule"
    assert found.reason == "the schedule says every 28d, the last was 1970-02-12T00:00:00Z"
    assert trigger(ALL, **stands | {"window_end": 10 * WEEK - 1}) is None


def test_the_schedule_counts_from_a_retraining_that_deployed() -> None:
    before = [decision("performance", 8 * WEEK, "deployed"), decision("schedule", 6 * WEEK)]
    monthly = Retrain(every="28d")
    assert trigger(monthly, decisions=before, window_end=12 * WEEK - 1) is None
    assert trigger(monthly, decisions=before, window_end=12 * WEEK) == "schedule"


def test_cron_counts_by_the_wall_clock_from_its_last_decision_or_the_deployment() -> None:
    daily = Retrain(cron="0 4 * * *", time_zone="Europe/Berlin")
    four = NOW + 3 * 3_600_000  # at 4 in Berlin it is 3 in UTC
    assert trigger(daily, deployed_ms=NOW, now_ms=four - 1) is None
    assert trigger(daily, deployed_ms=NOW, now_ms=four) == "schedule"
    before = [decision("schedule", 8 * WEEK, at=four)]
    assert trigger(daily, deployed_ms=NOW, now_ms=four + DAY - 1, decisions=before) is None
    assert trigger(daily, deployed_ms=NOW, now_ms=four + 3 * DAY, decisions=before) == "schedule"
    with pytest.raises(Error, match="field 'hour'") as caught:
        triggers.due(Retrain(cron="0 25 * * *"), state())
    assert caught.value.where == "assay.yaml: retrain.cron"
    with pytest.raises(Error, match="no time zone 'Mars'") as caught:
        triggers.due(Retrain(cron="0 5 * * *", time_zone="Mars"), state())
    assert caught.value.where == "assay.yaml: retrain.time_zone"


@given(st.lists(st.sampled_from(["deployed", "refused", "inconclusive", "failed", None])))
def test_refusals_are_counted_back_to_the_last_that_was_deployed(outcomes: list[Any]) -> None:
    found = triggers.refusals([decision("drift", 0, outcome) for outcome in outcomes])
    finished = [outcome for outcome in outcomes if outcome]
    assert finished[:found].count("deployed") == 0
    assert found == len(finished) or finished[found] == "deployed"


def test_a_person_hears_of_three_refusals_in_a_row_and_each_time_they_double() -> None:
    heard = [
        n for n in range(60) if triggers.should_alert([decision("drift", 0, "failed")] * n)
    ]  # fmt: skip
    assert heard == [3, 6, 12, 24, 48]
