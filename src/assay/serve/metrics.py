"""Counts and durations of one server, in the text format of Prometheus (version 0.0.4).

They are touched by the server's loop only, so there are no locks. Labels have values from a
closed set: a route, a status, a version that was deployed; never a path or name from a request.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Iterator

from assay.ledger import process

Labels = tuple[str, ...]

BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
)  # fmt: skip
"""Seconds. Prometheus's own begin at 5 ms, which is more than most answers take."""


class Counter:
    """A number that grows, for each combination of labels."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self.values: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0) + by

    def lines(self) -> Iterator[str]:
        """Return the lines of the text format."""
        yield from _head(self.name, "counter", self.meaning)
        for labels, value in self.values.items():
            yield f"{self.name}{_braces(self.labels, labels)} {_number(value)}"


class Histogram:
    """How many durations were at most so long, for each combination of labels."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self.counts: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}

    def add(self, seconds: float, *labels: str) -> None:
        """Count a duration."""
        counts = self.counts.get(labels)
        if counts is None:
            counts = self.counts[labels] = [0] * (len(BUCKETS) + 1)
            self.sums[labels] = 0.0
        counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.sums[labels] += seconds

    def merge(self, counts: list[int], seconds: float, *labels: str) -> None:
        """Add durations that another process counted, and their sum."""
        known = self.counts.get(labels, [0] * (len(BUCKETS) + 1))
        self.counts[labels] = [a + b for a, b in zip(known, counts, strict=True)]
        self.sums[labels] = self.sums.get(labels, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        """Return the lines of the text format."""
        yield from _head(self.name, "histogram", self.meaning)
        names = (*self.labels, "le")
        for labels, counts in self.counts.items():
            total = 0
            for edge, count in zip((*map(_number, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_braces(names, (*labels, edge))} {total}"
            braces = _braces(self.labels, labels)
            yield f"{self.name}_sum{braces} {_number(self.sums[labels])}"
            yield f"{self.name}_count{braces} {total}"


class Metrics:
    """All that a server counts itself."""

    def __init__(self) -> None:
        self.in_progress = 0
        self.requests = Counter(
            "assay_requests_total", "Requests that were answered.", "route", "status"
        )
        self.durations = Histogram(
            "assay_request_duration_seconds", "From the request's head to its answer.", "route"
        )
        self.refused = Counter(
            "assay_refused_total", "Requests that were refused before they were read.", "status"
        )
        self.rows = Counter(
            "assay_predictions_total", "Rows that a model answered.", "model", "version"
        )
        self.predict = Histogram(
            "assay_predict_duration_seconds", "What the model itself took.", "model", "version"
        )
        self.truths = Counter("assay_feedback_total", "Truths that were kept.")

    def text(self, extra: Iterable[str]) -> str:
        """Return everything, with further lines, as a scrape expects it."""
        found = [
            line
            for one in (
                self.requests, self.durations, self.refused, self.rows, self.predict, self.truths,
            )
            for line in one.lines()
        ]  # fmt: skip
        found += gauge(
            "assay_requests_in_progress", "Requests that are being answered.", self.in_progress
        )
        return "\n".join((*found, *extra, *_process(), ""))


def gauge(name: str, meaning: str, value: float, **labels: str) -> list[str]:
    """Return the lines of a number that goes up and down."""
    braces = _braces(tuple(labels), tuple(labels.values()))
    return [*_head(name, "gauge", meaning), f"{name}{braces} {_number(value)}"]


def count(name: str, meaning: str, value: float) -> list[str]:
    """Return the lines of a number that grows and is counted elsewhere."""
    return [*_head(name, "counter", meaning), f"{name} {_number(value)}"]


def _process() -> list[str]:
    """Return what the process uses, under the names that Prometheus's own clients give."""
    used = process.usage()
    lines = count("process_cpu_seconds_total", "CPU time, user and system.", used.cpu_seconds)
    if used.memory is not None:
        lines += gauge("process_resident_memory_bytes", "Memory in use.", used.memory)
    lines += gauge("process_start_time_seconds", "When it began, Unix time.", _BEGAN)
    return lines


def _head(name: str, kind: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"


def _braces(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


_BEGAN = time.time()
