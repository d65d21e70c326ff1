"""Bad input is answered with JSON that says what is wrong, and the server lives on."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest

from tests.bundle import trained
from tests.serve import running
from tests.serve.running import Served

INFER = "/v2/models/bikes/infer"
LENGTH = "Inference-Header-Content-Length"
ROW = running.rows()[0]


def tensor(name: str, /, **changes: Any) -> dict[str, Any]:
    """Return a request with one tensor changed."""
    request = running.tensors(2)
    for one in request["inputs"]:
        if one["name"] == name:
            one.update(changes)
    return request


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([without(ROW, "wind")], "the column 'wind' is missing"),
        ([ROW | {"rain": 1}], "the model has no column 'rain'"),
        ([without(ROW, "wind") | {"Wind": 1.0}], "'Wind' is not known; did you mean 'wind'?"),
        ([ROW | {"hour": "8"}], "column 'hour': the value of row 0 is '8'; expected is int64"),
        ([ROW, ROW | {"hour": 8.0}], "the value of row 1 is 8.0; expected is int64"),
        ([ROW | {"hour": True}], "the value of row 0 is True; expected is int64"),
        ([ROW | {"holiday": 1}], "the value of row 0 is 1; expected is bool"),
        ([ROW | {"hour": 2**70}], "out of range"),
        ([ROW | {"wind": None}], "the value of row 0 is missing"),
        ([ROW, without(ROW, "wind")], "row 1: the column 'wind' is in some rows only"),
        ([ROW | {"hour": [8]}], "Expected"),
        ([], "there is no row"),
        ({}, "the body is one object without 'rows'; send a list of rows, or {\"rows\": [...]}"),
        (ROW, "one object without 'rows', with 'hour'; send a list of rows"),
        ({"instances": [ROW]}, "one object without 'rows', with 'instances'; send a list of"),
        ([ROW | {"hour": "the value of row 7"}], "row 0 is 'the value of row 7'"),
        ({"rows": [ROW], "extra": 1}, "unknown field `extra`"),
        ([1], "Expected `object`, got `int`"),
        ("rows", "got `str`"),
        ({"rows": [ROW], "id": "x" * 257}, "more than 256 characters"),
    ],
)
def test_rows_that_are_not_the_model_s_are_refused_with_what_was_expected(
    served: Served, rows: Any, said: str
):
    answered = served.predict(rows)
    assert answered.status == 400
    assert said in answered.json["error"]


def test_columns_in_another_order_are_the_same_columns(served: Served, models: running.Models):
    expected = running.expected(models.bundles[1])
    assert served.predict([dict(reversed(ROW.items()))]).json["predictions"] == expected
    request = running.tensors()
    request["inputs"].reverse()
    answered = served.ask("POST", INFER, json.dumps(request))
    assert answered.json["outputs"][0]["data"] == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Input data was truncated"),
        (b'[{"hour": NaN}]', "malformed"),
        (b'[{"wind": 1e400}]', "out of range"),
        (b"[" * 100_000, "Expected `object`, got `array`"),
        (b'{"inputs":' + b"[" * 100_000, "unknown field"),
        (b'{"rows":' * 100_000, "Expected `array`, got `object`"),
        (b'[{"hour": "\xff"}]', "UTF-8"),
        (b'[{"hour": 1}', "truncated"),
    ],
)
def test_a_body_that_is_no_json_of_rows_is_refused(served: Served, body: bytes, said: str):
    answered = served.ask("POST", "/predict", body, {"Content-Type": "application/json"})
    assert answered.status == 400
    assert said in answered.json["error"]
    assert len(answered.body) < 1000


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (running.tensors(2) | {"inputs": []}, "there is no row"),
        ({}, "missing required field `inputs`"),
        (tensor("hour", name="hours"), "the model has no input 'hours'; it has: hour, weather"),
        (tensor("hour", datatype="INT32"), "is 'INT32'; expected is INT64"),
        (tensor("hour", datatype="FP64"), "expected is INT64"),
        (tensor("hour", data=[1.5, 2]), "the value of row 0 is 1.5; expected is int64"),
        (tensor("hour", data=[1, True]), "the value of row 1 is True"),
        (tensor("hour", data=["1", "2"]), "expected is int64"),
        (tensor("hour", data=[1]), "has 1 values; its shape says 2"),
        (tensor("hour", data=None), "has no data"),
        (tensor("hour", shape=[1], data=[1]), "the column has 2 values, the column 'hour' has 1"),
        (tensor("hour", shape=[2, 1]), "has 2 dimensions; expected is 1"),
        (tensor("hour", shape=[]), "has 0 dimensions"),
        (tensor("hour", shape=[-2]), "a dimension of -2"),
        (tensor("hour", shape=[2**62]), "a dimension of 4611686018427387904"),
        (tensor("hour", shape=[2**70]), "a dimension of"),
        (tensor("wind", data=[1.0, None]), "the value of row 1 is missing"),
        (tensor("hour", parameters={"binary_data_size": 16}), "binary without " + LENGTH),
        (tensor("hour", parameters={"shared_memory_region": "x"}), "shared memory"),
        (running.tensors(outputs=[{"name": "score"}]), "the model has no output 'score'"),
        (running.tensors(outputs=[{"name": "predict"}] * 2), "asked for twice"),
        (
            running.tensors(outputs=[{"name": "predict", "parameters": {"binary_data": 1}}]),
            "neither true nor false",
        ),
        (running.tensors(0), "there is no row"),
    ],
)
def test_tensors_that_are_not_the_model_s_are_refused(served: Served, request_: Any, said: str):
    answered = served.ask("POST", INFER, json.dumps(request_))
    assert answered.status == 400
    assert said in answered.json["error"]


def test_an_input_that_is_there_twice_is_refused(served: Served):
    request = running.tensors()
    request["inputs"].append(request["inputs"][0])
    assert "there twice" in served.ask("POST", INFER, json.dumps(request)).json["error"]


def test_too_many_inputs_are_refused(served: Served):
    request = running.tensors(inputs=running.tensors()["inputs"] * 300)
    assert "at most 1024" in served.ask("POST", INFER, json.dumps(request)).json["error"]


def test_what_is_not_offered_is_said_to_be_so(served: Served):
    request = running.tensors(
        outputs=[{"name": "predict", "parameters": {"classification": 3}}]
    )  # fmt: skip
    answered = served.ask("POST", INFER, json.dumps(request))
    assert (answered.status, "not offered" in answered.json["error"]) == (501, True)


def binary(values: bytes, *, shape: int = 1, size: int | None = None, rest: bytes = b"") -> Any:
    """Return a body whose `wind` is binary, and the length of its JSON."""
    request = running.tensors()
    del request["inputs"][2]["data"]
    request["inputs"][2]["shape"] = [shape]
    request["inputs"][2]["parameters"] = {
        "binary_data_size": len(values) if size is None else size
    }
    head = json.dumps(request).encode()
    return head + values + rest, str(len(head))


NUMBER = struct.pack("<d", 1.5)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (binary(NUMBER, size=7), "bytes; its shape says 8"),
        (binary(NUMBER, size=2**62), f"is said to have {2**62} bytes; 8 are there"),
        (binary(NUMBER, size=-8), "is said to have -8 bytes"),
        (binary(NUMBER, rest=b"x"), "1 bytes after the last input belong to none"),
        (binary(NUMBER, shape=2), "has 8 bytes; its shape says 16"),
        (binary(NUMBER, shape=2**61 + 1), "a dimension of"),
        (binary(struct.pack("<d", np.inf)), "is infinite"),
        (binary(struct.pack("<d", np.nan)), "missing (NaN)"),
    ],
)
def test_binary_tensors_must_have_the_bytes_that_they_say(
    served: Served, body: tuple[bytes, str], said: str
):
    answered = served.ask("POST", INFER, body[0], {LENGTH: body[1]})
    assert answered.status == 400
    assert said in answered.json["error"]


@pytest.mark.parametrize("length", ["0", "-1", "1e3", "99999999", "9" * 5000, "²", "x"])
def test_a_wrong_length_of_the_json_is_refused(served: Served, length: str):
    answered = served.ask("POST", INFER, b"{}", {LENGTH: length.encode("utf-8").decode("latin-1")})
    assert answered.status == 400
    assert LENGTH in answered.json["error"]


@pytest.mark.parametrize("path", ["/predict", "/feedback", INFER])
def test_a_body_of_another_type_is_refused(served: Served, path: str):
    for content_type in ("text/csv", "application/vnd.bentoml+pickle", "multipart/form-data"):
        answered = served.ask("POST", path, b"x", {"Content-Type": content_type})
        assert (answered.status, content_type in answered.json["error"]) == (415, True)


def test_a_page_of_another_site_cannot_send_what_is_taken_for_json(served: Served):
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        for path in ("/predict", "/feedback"):
            headers = {"Content-Type": content_type}
            assert served.ask("POST", path, b"[]", headers).status == 415


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/cars", 404),
        ("POST", "/v2/models/cars/infer", 404),
        ("GET", "/v2/models/cars/ready", 404),
        ("GET", "/v2/models/bikes/versions/7", 404),
        ("POST", "/v2/models/bikes/versions/7/infer", 404),
        ("GET", f"/v2/models/{'x' * 5000}", 404),
        ("GET", "/v2/models/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v2/models/bikes/", 404),
        ("GET", "//", 404),
        ("POST", "/v2/repository/models/bikes/load", 404),
        ("GET", INFER, 405),
        ("DELETE", "/predict", 405),
        ("PUT", "/metrics", 405),
    ],
)
def test_what_is_not_there_is_said_in_the_protocol_s_form(
    served: Served, method: str, path: str, status: int
):
    answered = served.ask(method, path, b"{}" if method == "POST" else None)
    assert answered.status == status
    assert list(answered.json) == ["error"]
    assert answered.headers["content-type"] == "application/json"
    assert len(answered.body) < 300


def test_a_method_that_is_not_for_a_path_is_told_the_one_that_is(served: Served):
    answered = served.ask("GET", "/predict")
    assert answered.status == 405
    assert answered.json == {"error": "the method GET is not for this path; use POST"}
    assert answered.headers["allow"] == "POST"
    assert served.ask("POST", "/metrics", b"").json["error"].endswith("; use GET")


def test_the_root_says_which_paths_there_are(served: Served):
    answered = served.ask("GET", "/")
    assert (answered.status, answered.json["endpoint"]) == (200, running.ENDPOINT)
    assert answered.json["paths"]["/predict"] == "POST"
    assert answered.json["paths"]["/v2/health/ready"] == "GET"


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ({"id": "x", "value": 1}, "'id' is not known: a truth has 'value' and 'prediction_id'"),
        ({"id": "x", "value": 1}, "write 'prediction_id'"),
        ({"prediction_id": "x", "truth": 1}, "write 'value'"),
        ([{"value": 1, "prediction_id": "x"}, {"target": 1}], "'target' is not known"),
        ({"prediction_id": "x", "value": 1, "other": 2}, "unknown field `other`"),
    ],
)
def test_a_truth_under_other_names_is_told_the_right_ones(served: Served, truth: Any, said: str):
    headers = {"Content-Type": "application/json"}
    answered = served.ask("POST", "/feedback", json.dumps(truth), headers)
    assert answered.status == 400
    assert said in answered.json["error"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_packed_body_is_bounded_by_what_it_becomes(served: Served, coding: str):
    packing = gzip.compress if coding == "gzip" else zlib.compress
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    body = json.dumps([ROW]).encode()
    assert served.ask("POST", "/predict", packing(body), headers).status == 200
    bomb = packing(b" " * 70_000_000 + body)
    assert len(bomb) < 100_000
    assert served.ask("POST", "/predict", bomb, headers).status == 413
    assert served.ask("POST", "/predict", packing(body)[:-3], headers).status == 400
    assert served.ask("POST", "/predict", packing(body) + b"x", headers).status == 400
    assert served.ask("POST", "/predict", body, headers).status == 400
    wrong = headers | {"Content-Encoding": "br"}
    assert served.ask("POST", "/predict", body, wrong).status == 415


POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Length: 1099511627776\r\n\r\n", 413),
        (POST + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 300_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 50_000, 431),
        (b"GET /" + b"a" * 300_000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 66_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
def test_what_breaks_http_is_answered_in_the_protocol_s_form(
    served: Served, sent: bytes, status: int
):
    answered = running.split(served.raw(sent))
    assert answered.status == status
    assert list(answered.json) == ["error"]
    assert answered.headers["connection"] == "close"


def test_a_client_that_sends_too_much_reads_why(served: Served):
    answered = served.ask(
        "POST", "/predict", b" " * 68_000_000, {"Content-Type": "application/json"}
    )
    assert answered.status == 413
    assert "larger than 67108864 bytes" in answered.json["error"]


def test_a_body_without_a_length_is_counted_while_it_comes(served: Served):
    part = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answered = served.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + part * 1100)
    assert running.split(answered).status == 413


def test_endless_trailers_are_counted_too(served: Served):
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n0\r\n"
    trailer = b"X: " + b"a" * 60_000 + b"\r\n"
    assert running.split(served.raw(head + trailer * 1200)).status == 413


def test_an_answer_on_its_way_comes_before_the_refusal_of_what_follows_it(served: Served):
    body = json.dumps([ROW]).encode()
    good = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    found = served.raw(good + good + b"nonsense\r\n\r\n")
    assert found.count(b"HTTP/1.1 200") == 2
    assert found.index(b"HTTP/1.1 400") > found.rindex(b"HTTP/1.1 200")


def test_a_wish_for_another_protocol_is_passed_by(served: Served):
    sent = (
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    )
    assert running.split(served.raw(sent)).status == 200


def test_a_client_that_leaves_costs_nothing(served: Served):
    body = json.dumps([ROW] * 100).encode()
    head = POST + b"Content-Length: %d\r\n\r\n" % len(body)
    for sent in (head, head + body[:10], head + body, b"POST /pre"):
        for _ in range(20):
            with socket.create_connection(served.address) as connection:
                connection.sendall(sent)
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert served.predict([ROW]).status == 200
    until = time.monotonic() + 10
    while served.metric("assay_requests_in_progress") > 1 and time.monotonic() < until:
        time.sleep(0.05)
    assert served.metric("assay_requests_in_progress") == 1  # the one that asks
    assert "Traceback" not in served.log.read_text()


def test_as_many_clients_as_like_may_send_rubbish(served: Served):
    random = np.random.default_rng(3)
    for _ in range(100):
        with contextlib.suppress(OSError):
            served.raw(random.bytes(int(random.integers(1, 400))) + b"\r\n\r\n")
    body = json.dumps(running.tensors(3)).encode()
    for _ in range(300):
        broken = bytearray(body)
        for at in random.integers(0, len(body), 3):
            broken[at] = random.integers(0, 256)
        answered = served.ask("POST", INFER, bytes(broken))
        assert answered.status in {200, 400}
    assert "Traceback" not in served.log.read_text()


def test_a_text_of_a_client_is_not_repeated_at_length(served: Served):
    answered = served.predict([ROW | {"hour": "x" * 100_000}])
    assert len(answered.body) < 1000
    assert served.predict([ROW | {"y" * 100_000: 1}]).body.count(b"y") < 1000


def test_table_of_the_tests_is_that_of_the_models():
    assert list(ROW) == list(trained.whole())
