"""Cron and `every`, against an oracle that goes through the clock minute by minute."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.loop import schedule
from assay.loop.schedule import Cron

MINUTE = 60_000
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def ms(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    """Return a wall-clock time in Unix milliseconds."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(moment.timestamp() * 1000)


def after(line: str, at: int, zone: str) -> str:
    """Return when a line next runs, as a clock in the zone shows it."""
    found = schedule.next_after(schedule.parse(line), at, zone)
    return dt.datetime.fromtimestamp(found / 1000, ZoneInfo(zone)).isoformat(timespec="minutes")


def allowed(field: str, low: int, high: int, words: list[str]) -> set[int]:
    """Return the values of a field, read in another way: each value is asked about."""

    def number(text: str) -> int:
        return low + words.index(text) if text in words else int(text)

    found = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        ends = [low, high] if span == "*" else [number(text) for text in span.split("-")]
        if len(ends) == 1:
            ends = [ends[0], high if step else ends[0]]
        found |= {v for v in range(low, high + 1) if ends[0] <= v <= ends[1]
                  and (v - ends[0]) % int(step or 1) == 0}  # fmt: skip
    return found


class Clock:
    """The oracle: a clock of a zone, looked at every minute."""

    def __init__(self, line: str, zone: str) -> None:
        self.fields = line.split()
        self.zone = ZoneInfo(zone)
        minute, hour, day, month, weekday = self.fields
        self.minutes, self.hours = allowed(minute, 0, 59, []), allowed(hour, 0, 23, [])
        self.days, self.months = allowed(day, 1, 31, []), allowed(month, 1, 12, MONTHS)
        self.weekdays = {value % 7 for value in allowed(weekday, 0, 6, DAYS)}

    def wall(self, at: int) -> dt.datetime:
        """Return what the clock shows."""
        return dt.datetime.fromtimestamp(at / 1000, self.zone).replace(tzinfo=None)

    def fits(self, wall: dt.datetime) -> bool:
        """Say whether the line names a time."""
        in_days, in_week = wall.day in self.days, (wall.weekday() + 1) % 7 in self.weekdays
        if "*" in (self.fields[2][0], self.fields[4][0]):
            fits_day = in_days and in_week
        else:
            fits_day = in_days or in_week
        in_hour = wall.hour in self.hours and wall.minute in self.minutes
        return in_hour and wall.month in self.months and fits_day

    def runs(self, at: int) -> bool:
        """Say whether it runs in the minute that begins at a moment."""
        wall, before = self.wall(at), self.wall(at - MINUTE)
        if any(self.wall(at - back * MINUTE) == wall for back in range(1, 121)):
            return False  # the clock showed this before
        left_out = before + dt.timedelta(minutes=1)
        while left_out < wall:
            if self.fits(left_out):
                return True
            left_out += dt.timedelta(minutes=1)
        return self.fits(wall)

    def next_after(self, at: int, *, within: int) -> int | None:
        """Return when it next runs, None where that is too far away."""
        moment = at - at % MINUTE
        for _ in range(within):
            moment += MINUTE
            if self.runs(moment):
                return moment
        return None


def field(low: int, high: int, words: list[str]) -> st.SearchStrategy[str]:
    """Return fields of a line."""

    def shown(value: int) -> st.SearchStrategy[str]:
        plain = [str(value)]
        return st.sampled_from([*plain, words[value - low]] if words else plain)

    one = st.integers(low, high).flatmap(shown)
    span = (
        st.tuples(st.integers(low, high), st.integers(low, high))
        .map(sorted)
        .flatmap(lambda ends: st.tuples(shown(ends[0]), shown(ends[1])).map("-".join))
    )
    step = st.integers(1, high).map(lambda n: f"/{n}")
    item = st.one_of(one, span, st.tuples(st.just("*") | span | one, step).map("".join))
    return st.just("*") | st.lists(item, min_size=1, max_size=3).map(",".join)


LINES = st.tuples(
    field(0, 59, []), field(0, 23, []), field(1, 31, []), field(1, 12, MONTHS), field(0, 6, DAYS)
).map(" ".join)
NEAR_A_CHANGE = [
    ms("2024-03-31T00:00", "Europe/Berlin"), ms("2024-10-26T22:00", "Europe/Berlin"),
    ms("2024-03-10T00:00", "America/New_York"), ms("2024-11-03T00:00", "America/New_York"),
    ms("2024-04-06T23:00", "Australia/Lord_Howe"), ms("2024-10-05T23:00", "Australia/Lord_Howe"),
]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    line=LINES | st.sampled_from(["30 2 * * *", "*/7 * * * *", "15,45 1-3 * * *"]),
    zone=st.sampled_from(ZONES),
    start=st.sampled_from(NEAR_A_CHANGE) | st.just(ms("2023-12-31T12:00")),
    offset=st.integers(0, 5 * 60 * MINUTE),
)
def test_the_next_time_is_that_of_a_clock_that_is_looked_at_every_minute(
    line: str, zone: str, start: int, offset: int
) -> None:
    try:
        cron = schedule.parse(line)
    except Error as error:
        assert "never runs" in error.what  # noqa: PT017 -- only such a line is refused
        return
    within = 4 * 60
    expected = Clock(line, zone).next_after(start + offset, within=within)
    found = schedule.next_after(cron, start + offset, zone)
    if expected is None:
        assert found > start + offset - MINUTE + within * MINUTE
    else:
        assert found == expected
        assert schedule.is_due(cron, start + offset, found, zone)
        assert not schedule.is_due(cron, start + offset, found - 1, zone)
        assert not schedule.is_due(cron, found, found, zone)


def test_a_time_that_is_left_out_runs_at_the_next_minute_and_one_that_comes_twice_once() -> None:
    berlin = "Europe/Berlin"
    assert after("30 2 * * *", ms("2024-03-30T12:00", berlin), berlin) == "2024-03-31T03:00+02:00"
    assert after("30 2 * * *", ms("2024-03-31T03:00", berlin), berlin) == "2024-04-01T02:30+02:00"
    first = ms("2024-10-27T02:30", berlin)
    assert after("30 2 * * *", first - 1, berlin) == "2024-10-27T02:30+02:00"
    assert after("30 2 * * *", first, berlin) == "2024-10-28T02:30+01:00"
    second = ms("2024-10-27T02:10", berlin, fold=1)
    assert after("*/20 2-3 * * *", second, berlin) == "2024-10-27T03:00+01:00"


def test_a_day_that_a_zone_leaves_out_runs_at_its_end() -> None:
    assert after("0 9 30 12 *", ms("2011-12-29T12:00", "Pacific/Apia"), "Pacific/Apia") == (
        "2011-12-31T00:00+14:00"
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0 0 13 * fri", "2024-01-05T00:00"),  # one of the two days is enough
        ("0 0 13 * *", "2024-01-13T00:00"),
        ("0 0 */2 * fri", "2024-01-05T00:00"),  # a field with a star is not set: both must fit
        ("0 0 29 2 *", "2024-02-29T00:00"),
        ("0 0 29 2 */7", "2032-02-29T00:00"),  # a Sunday, too
        ("0 0 * * 7", "2024-01-07T00:00"),
        ("0 0 * * sat-sun", "2024-01-06T00:00"),
        ("5/20 * * * *", "2024-01-01T00:05"),
    ],
)
def test_days_and_steps_are_vixie_crons(line: str, found: str) -> None:
    assert after(line, ms("2024-01-01T00:00"), "UTC") == f"{found}+00:00"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("* * * *", "has 4 fields, expected 5"),
        ("60 * * * *", "the field 'minute' is '60', expected 0 to 59"),
        ("* 24 * * *", "the field 'hour' is '24', expected 0 to 23"),
        ("* * 0 * *", "the field 'day of the month' is '0', expected 1 to 31"),
        ("* * * foo *", "the field 'month' is 'foo', expected 1 to 12 or jan to dec"),
        ("* * * * 8", "the field 'day of the week' is '8', expected 0 to 7 or sun to sat"),
        ("5-3 * * * *", "the field 'minute' is '5-3'.*5 comes after 3"),
        ("*/0 * * * *", "the step '/0' is no whole number from 1 on"),
        ("*/ * * * *", "the step '/' is no whole number"),
        ("1,,2 * * * *", "the field 'minute' is ''"),
        ("0 0 30 2 *", "never runs: no month that it names has a day 30"),
        ("0 0 ² * *", "'²' is none of them"),
        ("@daily", "has 1 fields, expected 5"),
    ],
)
def test_what_is_no_line_is_refused_with_its_field_and_what_is_allowed(
    line: str, what: str
) -> None:
    with pytest.raises(Error, match=what) as caught:
        schedule.parse(line, where="assay.yaml: retrain.cron")
    assert caught.value.where == "assay.yaml: retrain.cron"


def test_a_zone_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(Error, match="no time zone 'Europe/Berln'") as caught:
        schedule.check_zone("Europe/Berln")
    assert caught.value.hint == "did you mean 'Europe/Berlin'?"
    for wrong in ("../../etc/passwd", "", "Europe"):
        with pytest.raises(Error, match="no time zone"):
            schedule.check_zone(wrong)


def test_every_is_due_once_a_whole_stretch_lies_between() -> None:
    assert not schedule.every_due(10, 100, 109)
    assert schedule.every_due(10, 100, 110)


def test_a_line_is_read_as_the_values_that_it_allows() -> None:
    assert schedule.parse("0,30 9-17/4 * jan,MAR-apr 1-5") == Cron(
        minutes=frozenset({0, 30}), hours=frozenset({9, 13, 17}), days=frozenset(range(1, 32)),
        months=frozenset({1, 3, 4}), weekdays=frozenset({1, 2, 3, 4, 5}), either_day=False,
    )  # fmt: skip
