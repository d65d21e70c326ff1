"""A replayed week is as it would be: a request a day, truth a day late, nothing known before."""

from __future__ import annotations

import http.server
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BIKES = Path(__file__).parents[2] / "examples" / "bikes"
ROWS = str(BIKES / "data" / "bikes.csv")
MODULES = ("ask", "features", "prepare", "replay", "tables")
START = "2012-01-01"  # a Sunday


@pytest.fixture(scope="module")
def bikes() -> Iterator[dict[str, Any]]:
    """The example's modules, which import each other by bare names."""
    sys.path.insert(0, str(BIKES))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(BIKES))
        for name in MODULES:
            sys.modules.pop(name, None)


class Endpoint(http.server.ThreadingHTTPServer):
    """Answers every request with 100 rentals, and keeps what it was sent, in order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sent: list[tuple[str, list[dict[str, Any]]]] = []
        self.n_connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def days(self, path: str) -> list[str]:
        """The day that each message of a kind was about."""
        key = "timestamp" if path == "/predict" else "key"
        return [rows[0][key][:10] for way, rows in self.sent if way == path]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def setup(self) -> None:
        super().setup()
        self.server.n_connections += 1

    def do_POST(self) -> None:
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.sent.append((self.path, rows))
        id_ = f"prediction-{len(self.server.sent)}"
        body = json.dumps({"prediction_id": id_, "predictions": [100.0] * len(rows)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_week_is_a_request_a_day_on_one_connection(bikes, endpoint):
    replay = bikes["replay"].Replay(endpoint.url, ROWS, START)

    first, second = replay.week(), replay.week()

    assert (first, second) == ("2012-01-02T23:00:00Z", "2012-01-09T23:00:00Z")
    assert endpoint.days("/predict") == [f"2012-01-0{day}" for day in range(1, 10)]
    assert endpoint.n_connections == 2
    assert replay.n_days == 366 - 9


def test_truth_comes_the_next_morning_before_anything_is_asked(bikes, endpoint):
    replay = bikes["replay"].Replay(endpoint.url, ROWS, START)

    replay.week()
    replay.week()

    order = [(path, rows[0].get("timestamp", rows[0].get("key"))) for path, rows in endpoint.sent]
    assert order[:5] == [
        ("/predict", "2012-01-01T00:00:00"),
        ("/feedback", "2012-01-01T00:00:00"),
        ("/predict", "2012-01-02T00:00:00"),
        ("/feedback", "2012-01-02T00:00:00"),
        ("/predict", "2012-01-03T00:00:00"),
    ]
    assert order[-1] == ("/predict", "2012-01-09T00:00:00")


def test_at_the_end_every_day_was_asked_about_and_every_truth_told_once(bikes, endpoint):
    replay = bikes["replay"].Replay(endpoint.url, ROWS, "2012-12-20")

    while replay.n_days:
        end = replay.week()

    assert end == "2012-12-31T23:00:00Z"
    assert endpoint.days("/predict") == endpoint.days("/feedback")
    assert endpoint.days("/predict")[-1] == "2012-12-31"
    assert len(set(endpoint.days("/predict"))) == 12


def test_a_request_says_what_the_model_takes_and_nothing_of_the_rentals(bikes, endpoint):
    replay = bikes["replay"].Replay(endpoint.url, ROWS, START)

    replay.week()

    for path, rows in endpoint.sent:
        if path == "/predict":
            assert all(set(row) == {"timestamp", *bikes["features"].FEATURES} for row in rows)


def test_errors_are_those_of_the_answers(bikes, endpoint):
    replay = bikes["replay"].Replay(endpoint.url, ROWS, START)
    count, day = replay.table["cnt"], replay.table["timestamp"].astype("datetime64[D]")

    replay.week()

    expected = np.abs(
        100 - count[(day >= np.datetime64(START)) & (day <= np.datetime64(START) + 1)]
    )
    np.testing.assert_array_equal(replay.errors, expected)
    assert replay.last_prediction == f"prediction-{len(endpoint.sent)}"


def test_shuffled_days_keep_their_rows_and_the_past_keeps_its_rentals(bikes):
    table = bikes["prepare"].in_order(bikes["prepare"].read_raw([ROWS]))
    start = np.datetime64(START)

    mixed = bikes["replay"].shuffle(table, start, seed=3)
    again = bikes["replay"].shuffle(table, start, seed=3)

    past = table["timestamp"] < start
    for name, column in table.items():
        np.testing.assert_array_equal(mixed[name], again[name])
        rows = past if name == "cnt" else slice(None)
        np.testing.assert_array_equal(mixed[name][rows], column[rows])
    whole, shuffled = (sums_of_whole_days(one, start) for one in (table, mixed))
    assert not np.array_equal(whole, shuffled)
    assert np.intersect1d(whole, shuffled).size > 0.9 * np.unique(whole).size


def sums_of_whole_days(table: dict[str, Any], start: np.datetime64) -> Any:
    """The rentals of each day that has all hours."""
    day = table["timestamp"].astype("datetime64[D]")
    days, index, counts = np.unique(day, return_inverse=True, return_counts=True)
    sums = np.bincount(index, table["cnt"])
    return sums[(counts == 24) & (days >= start)]
