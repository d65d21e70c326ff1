"""When a schedule is due: cron by the wall clock of a time zone, `every` by event time.

A cron line has five fields: minute, hour, day of the month, month, day of the week. Where neither
of the two days begins with `*`, a day that fits one of them is enough, as in Vixie cron. A time
that the change to summer time leaves out runs at the next minute that exists; one that the change
back gives twice runs once, the first time.
"""

from __future__ import annotations

import calendar
import datetime as dt
import functools
from collections.abc import Iterator

import msgspec

from assay.base.errors import Error, did_you_mean

_MINUTE = dt.timedelta(minutes=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_HINT = (
    "five fields: minute, hour, day of the month, month, day of the week; such as '0 4 * * mon'"
)


class _Field(msgspec.Struct, frozen=True):
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()  # the names of the values from `low` on


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, tuple(name.lower() for name in calendar.month_abbr[1:])),
    _Field("day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


class Cron(msgspec.Struct, frozen=True, kw_only=True):
    """A cron line that was read: the values that each field allows.

    Attributes
    ----------
    weekdays : frozenset of int
        0 is Sunday.
    either_day : bool
        Whether one of the two days is enough; else both must fit.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def fits_day(self, day: dt.date) -> bool:
        """Say whether it runs on a day."""
        if day.month not in self.months:
            return False
        fits = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return any(fits) if self.either_day else all(fits)


@functools.lru_cache(maxsize=32)
def parse(text: str, *, where: str | None = None) -> Cron:
    """Read a cron line.

    Raises
    ------
    assay.Error
        If it is none; says which field, and what is allowed there.

    Examples
    --------
    >>> sorted(parse("*/20 4 * jan-mar sun").minutes)
    [0, 20, 40]
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise Error(f"{text!r} has {len(parts)} fields, expected 5", where=where, hint=_HINT)
    values = [
        frozenset(_values(part.lower(), field, where))
        for part, field in zip(parts, _FIELDS, strict=True)
    ]
    cron = Cron(
        minutes=values[0],
        hours=values[1],
        days=values[2],
        months=values[3],
        weekdays=frozenset(value % 7 for value in values[4]),
        either_day=not parts[2].startswith("*") and not parts[4].startswith("*"),
    )
    longest = max(calendar.monthrange(2024, month)[1] for month in cron.months)
    if not cron.either_day and min(cron.days) > longest:
        raise Error(
            f"{text!r} never runs: no month that it names has a day {min(cron.days)}", where=where
        )
    return cron


def next_after(cron: Cron, at_ms: int, zone: str) -> int:
    """Return the first moment after `at_ms` at which it runs, both in Unix milliseconds.

    Raises
    ------
    assay.Error
        If there is no such time zone.

    Examples
    --------
    >>> next_after(parse("30 2 * * *"), 1_711_839_600_000, "Europe/Berlin")  # 31 March 2024, 0:00
    1711846800000
    """
    here = _zone(zone)
    moment = _EPOCH + dt.timedelta(milliseconds=at_ms)
    start = moment.astimezone(here).replace(tzinfo=None, second=0, microsecond=0)
    for wall in _walls(cron, start):
        found = _moment(wall, here)
        if found > moment:
            return (found - _EPOCH) // dt.timedelta(milliseconds=1)
    raise AssertionError("every line that can be read runs within 40 years")


def is_due(cron: Cron, last_ms: int, now_ms: int, zone: str) -> bool:
    """Say whether it should have run since `last_ms`; however often, it is due once."""
    return next_after(cron, last_ms, zone) <= now_ms


def every_due(every_ms: int, anchor_ms: int, now_ms: int) -> bool:
    """Say whether a whole stretch of event time lies between the anchor and now."""
    return now_ms - anchor_ms >= every_ms


def check_zone(name: str, *, where: str | None = None) -> None:
    """Raise unless there is a time zone of this name."""
    _zone(name, where=where)


def _values(text: str, field: _Field, where: str | None) -> Iterator[int]:
    """Go through the values that one field of a line allows."""
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        step = int(step_text) if step_text.isascii() and step_text.isdigit() else 0
        if slash and not step:
            what = f"the step '/{step_text}' is no whole number from 1 on"
            raise _wrong(item, field, where, what)
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = field.low, 6 if field.high == 7 else field.high
        else:
            first = _value(first_text, item, field, where)
            last = _value(last_text, item, field, where) if dash else first
            if slash and not dash:
                last = 6 if field.high == 7 else field.high
            if dash and first > last == 0 and field.high == 7:
                last = 7  # 'sat-sun': the week ends on Sunday, too
        if first > last:
            raise _wrong(item, field, where, f"{first_text} comes after {last_text}")
        yield from range(first, last + 1, step or 1)


def _value(text: str, item: str, field: _Field, where: str | None) -> int:
    if text in field.words:
        return field.low + field.words.index(text)
    if text.isascii() and text.isdigit() and field.low <= int(text) <= field.high:
        return int(text)
    raise _wrong(item, field, where, f"'{text}' is none of them")


def _wrong(item: str, field: _Field, where: str | None, what: str) -> Error:
    names = f" or {field.words[0]} to {field.words[-1]}" if field.words else ""
    return Error(
        f"the field '{field.name}' is '{item}', expected {field.low} to {field.high}{names}, as "
        f"a value, a range 'a-b', a list 'a,b', or with a step '*/n': {what}",
        where=where,
        hint=_HINT,
    )


def _walls(cron: Cron, start: dt.datetime) -> Iterator[dt.datetime]:
    """Go through the wall-clock times that fit, from `start` on.

    A 29 February of one day of the week may be 40 years away, and nothing is further.
    """
    times = [
        dt.time(hour, minute) for hour in sorted(cron.hours) for minute in sorted(cron.minutes)
    ]
    day = start.date()
    for _ in range(41 * 366):
        if cron.fits_day(day):
            for time in times:
                wall = dt.datetime.combine(day, time)
                if wall >= start:
                    yield wall
        day += dt.timedelta(days=1)


def _moment(wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return when a clock in the zone first shows a time, or the next one that it shows at all."""
    while True:
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall:
            return moment
        wall += _MINUTE


def _zone(name: str, *, where: str | None = None) -> dt.tzinfo:
    if name.upper() == "UTC":
        return dt.UTC  # needs no list of zones, which a small machine may lack
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Error(
            f"there is no time zone '{name}'",
            where=where,
            hint=did_you_mean(name, available_timezones())
            or "name one such as Europe/Berlin; 'pip install tzdata' brings their list",
        ) from error
