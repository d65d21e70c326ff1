"""What a server does beside answering: ids, counts, the log, truth, the token, an orderly end."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from assay.serve import access
from assay.serve.limits import Limits
from assay.traffic import feedback, find, log
from tests import make as making
from tests.bundle import trained
from tests.serve import running
from tests.serve.running import Models, Served

INFER = "/v2/models/bikes/infer"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def folder(models: Models) -> Path:
    return models.project.assay_dir / "traffic"


def logged(models: Models, prediction_id: str) -> Any:
    until = time.monotonic() + 10
    while (found := find.find(folder(models), prediction_id)) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_the_server_says_what_it_is_and_what_the_model_takes_and_gives(served: Served):
    assert served.ask("GET", "/v2").json["extensions"] == ["binary_tensor_data", "parameters"]
    metadata = served.ask("GET", "/v2/models/bikes").json
    assert (metadata["name"], metadata["versions"]) == ("bikes", ["1"])
    assert metadata["inputs"][0] == {"name": "hour", "datatype": "INT64", "shape": [-1]}
    assert metadata["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]
    assert served.ask("GET", "/v2/models/bikes/versions/1").json == metadata
    assert served.ask("GET", "/v2/models/bikes/versions/1/ready").status == 200


def test_both_forms_give_the_bundle_s_own_numbers(served: Served, models: Models):
    expected = running.expected(models.bundles[1], 50)
    assert served.predict(running.rows(50)).json["predictions"] == expected
    answered = served.ask("POST", INFER, json.dumps(running.tensors(50))).json
    assert answered["outputs"] == [
        {"name": "predict", "datatype": "FP64", "shape": [50], "data": expected}
    ]
    assert (answered["model_name"], answered["model_version"]) == ("bikes", "1")
    assert "id" not in answered
    path = "/v2/models/bikes/versions/1/infer"
    assert served.ask("POST", path, json.dumps(running.tensors(50))).json == answered


def test_the_prediction_id_is_ours_and_the_client_s_id_comes_back(served: Served, models: Models):
    answered = served.ask("POST", INFER, json.dumps(running.tensors(2, id="their own")))
    ours = answered.headers["assay-prediction-id"]
    assert UUID7.fullmatch(ours)
    assert (answered.json["id"], answered.headers["x-request-id"]) == ("their own", "their own")
    record = logged(models, ours).record
    assert (record.request_id, record.n_rows, record.status) == ("their own", 2, "ok")

    again = served.predict(running.rows(), **{"X-Request-Id": "other"})
    assert again.headers["x-request-id"] == "other"
    assert again.json["prediction_id"] == again.headers["assay-prediction-id"] != ours
    assert logged(models, again.json["prediction_id"]).record.request_id == "other"

    none = served.predict({"rows": running.rows(), "id": "line\r\nX-Evil: 1"})
    assert none.json["id"] == "line\r\nX-Evil: 1"
    assert "x-evil" not in none.headers
    assert none.headers["x-request-id"] == none.headers["assay-prediction-id"]


def test_the_log_has_what_was_asked_and_answered_and_by_which_version(
    served: Served, models: Models
):
    answered = served.predict(running.rows(3))
    found = logged(models, answered.json["prediction_id"] + "/2")
    record = found.record
    inputs, outputs = found.values()
    assert inputs == running.rows(3)[2]
    assert outputs == {"predict": running.expected(models.bundles[1], 3)[2]}
    assert (record.endpoint, record.version) == ("rentals", "bikes/1")
    assert record.bundle == models.bundles[1].id
    assert record.deployment is not None
    assert 0 < record.latency < 60
    assert abs(record.at / 1000 - time.time()) < 60


def test_a_request_that_was_refused_is_not_in_the_log(served: Served):
    before = served.metric("assay_traffic_written_total") + served.metric("assay_traffic_waiting")
    assert served.predict([{"hour": 1}]).status == 400
    time.sleep(0.3)
    after = served.metric("assay_traffic_written_total") + served.metric("assay_traffic_waiting")
    assert after == before


def test_truth_is_kept_before_it_is_confirmed(served: Served, models: Models):
    answered = served.predict(running.rows(2))
    id_ = answered.json["prediction_id"]
    logged(models, id_)
    headers = {"Content-Type": "application/json"}

    def send(document: Any) -> running.Answered:
        return served.ask("POST", "/feedback", json.dumps(document), headers)

    assert send({"prediction_id": f"{id_}/0", "value": 7.5}).json == {"n_truths": 1}
    late = [{"prediction_id": f"{id_}/1", "value": 1.0}, {"prediction_id": f"{id_}/1", "value": 2}]
    assert send(late).json == {"n_truths": 2}
    with feedback.joined(folder(models)) as joined:
        rows = joined.rows(
            f"SELECT prediction_id, target FROM {joined.view} "
            f"WHERE prediction_id LIKE '{id_}%' ORDER BY 1"
        )
    assert rows == [(f"{id_}/0", 7.5), (f"{id_}/1", 2.0)]
    for wrong, said in [
        ({"prediction_id": "mine", "value": 1}, "is no prediction id"),
        ({"prediction_id": id_, "value": None}, "is no truth"),
        ({"value": 1}, "either by its id or by a key column"),
        ([{"prediction_id": id_, "value": 1}, {"value": 1}], "truth 2: "),
        ({"prediction_id": id_, "value": 1, "row": 0}, "unknown field"),
        ({"prediction_id": id_}, "missing required field `value`"),
    ]:
        answered = send(wrong)
        assert (answered.status, said in answered.json["error"]) == (400, True), answered


def test_metrics_are_in_prometheus_form_with_closed_labels(served: Served):
    served.predict(running.rows(5))
    served.ask("GET", "/no/such/path/zzz")
    served.ask("GET", "/v2/models/zzz")
    answered = served.ask("GET", "/metrics")
    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answered.body.decode()
    sample = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \S+')
    assert all(
        line.startswith("# ") or sample.fullmatch(line) for line in text.rstrip("\n").split("\n")
    )
    assert "zzz" not in text
    assert 'assay_requests_total{route="other",status="404"}' in text
    assert 'assay_predictions_total{model="bikes",version="1"}' in text
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "assay_ready"):
        assert served.metric(name) > 0
    total = served.metric("assay_predict_duration_seconds_count")
    assert (
        f'assay_predict_duration_seconds_bucket{{model="bikes",version="1",le="+Inf"}} {total:.0f}'
        in text
    )


def test_a_large_answer_is_packed_where_the_client_asks_for_it(served: Served, models: Models):
    import gzip

    body, headers = json.dumps(running.tensors(120)), {"Accept-Encoding": "gzip, deflate"}
    answered = served.ask("POST", INFER, body, headers)
    assert answered.headers["content-encoding"] == "gzip"
    data = json.loads(gzip.decompress(answered.body))["outputs"][0]["data"]
    assert data == running.expected(models.bundles[1], 120)
    assert "content-encoding" not in served.ask("POST", INFER, body).headers


def test_others_than_this_machine_need_a_token(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    shown = making.process(models.root, "serve", running.ENDPOINT, "--host", "0.0.0.0")
    assert (shown.code, "ASSAY_TOKEN" in shown.err) == (2, True)
    shown = making.process(
        models.root, "serve", running.ENDPOINT, "--host", "0.0.0.0", env={"ASSAY_TOKEN": "short"}
    )
    assert (shown.code, "short" in shown.err) == (2, False)
    token = "a-long-and-secret-token"
    with running.serving(
        models.root, "--host", "0.0.0.0", wait=False, env={"ASSAY_TOKEN": token}
    ) as served:
        served.wait()  # probes need none
        right = {"Authorization": f"Bearer {token}"}
        assert served.predict(running.rows(), **right).status == 200
        for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {token}"}):
            for path in ("/v2/models/bikes", "/metrics", "/v2", "/none"):
                answered = served.ask("GET", path, headers=wrong)
                assert answered.status == 401
                assert answered.headers["www-authenticate"] == "Bearer"
                assert list(answered.json) == ["error"]
            assert served.predict(running.rows(), **wrong).status == 401
        assert token not in served.ask("GET", "/metrics", headers=right).body.decode()
        assert served.end() == 0
    said = served.log.read_text() + "".join(
        path.read_bytes().decode("latin-1") for path in folder(models).rglob("*.spool")
    )
    assert token not in said
    assert base64.b64encode(token.encode()).decode() not in said


def test_what_is_loopback_is_known_by_its_address():
    assert access.is_loopback("127.8.0.1")
    assert not access.is_loopback("10.0.0.1")
    assert not access.is_loopback("::")


def test_a_server_that_is_told_to_end_answers_what_it_has_begun(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    body = json.dumps(running.rows()).encode()
    head = (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    with running.serving(models.root) as served:
        idle = socket.create_connection(served.address)
        with socket.create_connection(served.address) as connection:
            connection.sendall(head + body[:5])
            served.ask("GET", "/v2/health/live")  # what was sent before was read
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(body[5:])
            answered = running.split(running.read_all(connection))
        assert (answered.status, answered.headers["connection"]) == (200, "close")
        assert served.process.wait(30) == 0
        idle.close()
    assert logged(models, answered.headers["assay-prediction-id"]).record.status == "ok"
    assert [path.suffix for path in folder(models).iterdir() if path.is_file()] == [".spool"]


def test_a_file_size_limit_under_the_log_loses_records_and_no_answer(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    with running.serving(models.root) as served:
        first = served.predict(running.rows())
        logged(models, first.json["prediction_id"])
        size = max(path.stat().st_size for path in folder(models).rglob("*.spool"))
        pid, unlimited = served.process.pid, resource.RLIM_INFINITY
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 10, unlimited))
        for _ in range(50):
            answered = served.predict(running.rows(20))
            assert answered.status == 200
        until = time.monotonic() + 10
        while served.metric("assay_traffic_dropped_total") == 0:
            assert time.monotonic() < until
            time.sleep(0.05)
        refused = served.ask(
            "POST",
            "/feedback",
            json.dumps({"prediction_id": first.json["prediction_id"], "value": "x" * size}),
            {"Content-Type": "application/json"},
        )
        assert (refused.status, "not kept" in refused.json["error"]) == (503, True)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
        last = served.predict(running.rows())
        assert logged(models, last.json["prediction_id"]).record.status == "ok"
        assert served.lives()
        with log.read(folder(models)) as found:
            assert found.n_corrupt == 0


def test_a_killed_server_loses_at_most_the_last_second_of_the_log(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    with running.serving(models.root) as served:
        ids = [served.predict(running.rows()).json["prediction_id"] for _ in range(50)]
        time.sleep(1)
        served.end(signal.SIGKILL)
    assert all(find.find(folder(models), id_) for id_ in ids)
    with running.serving(models.root) as served:  # which finds what the other one left
        until = time.monotonic() + 30
        while not list(folder(models).glob("*.parquet")):
            assert time.monotonic() < until, served.log.read_text()
            time.sleep(0.1)
        assert served.predict(running.rows()).status == 200
    with log.read(folder(models)) as found:
        assert found.n_rows == 51


def test_more_connections_than_the_limit_are_told_so(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    n_open = Limits().connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = []
    try:
        with running.serving(models.root) as served:
            connections = [socket.create_connection(served.address) for _ in range(n_open)]
            answered = served.ask("GET", "/v2/health/live")
            assert answered.status == 503
            assert "too many connections" in answered.json["error"]
            for connection in connections:
                connection.close()
            served.wait()
            assert served.metric("assay_refused_total") >= 1
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_probes_are_answered_while_the_models_work(served: Served):
    rows = json.dumps(running.tensors(120)).encode()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            served.ask("POST", INFER, rows)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert served.ask("GET", "/v2/health/live").status == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()


ENVIRON = """
import os, sys
from pathlib import Path
from assay.project.workspace import Project
from assay.workflows import serve
def listens(url):
    print(url[:17], os.environ["OMP_NUM_THREADS"], "sklearn" in sys.modules)
    raise KeyboardInterrupt
try:
    serve.serve(Project(Path(sys.argv[1])), "rentals", port=0, listens=listens)
except KeyboardInterrupt:
    pass
"""


def test_a_server_process_lets_each_model_work_with_one_thread(models: Models):
    done = subprocess.run(
        [sys.executable, "-c", ENVIRON, models.root],
        env={**os.environ, "OMP_NUM_THREADS": "8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "http://127.0.0.1: 1 False\n"


def test_an_address_that_is_taken_is_an_error(served: Served, models: Models):
    port = str(served.address[1])
    shown = making.process(models.root, "serve", running.ENDPOINT, "--port", port)
    assert (shown.code, "no server can listen here" in shown.err) == (255, True)


def test_a_class_comes_with_its_probabilities(tmp_path: Path):
    models = running.project(tmp_path)
    busy = np.where(trained.target(trained.table()) > 5, "busy", "calm")
    number = models.add(model=trained.forest(), X=trained.table(), y=busy)
    models.deploy(number)
    bundle = models.bundles[number]
    table = {name: values[:3] for name, values in trained.whole().items()}
    answers = bundle.answers(table)
    with running.serving(models.root) as served:
        found = served.predict(running.rows(3)).json
        assert found["predictions"] == answers["predict"].tolist()
        assert found["probabilities"] == answers["predict_proba"].tolist()
        assert found["classes"] == ["busy", "calm"]
        outputs = served.ask("POST", INFER, json.dumps(running.tensors(3))).json["outputs"]
        assert [(one["datatype"], one["shape"]) for one in outputs] == [
            ("BYTES", [3]),
            ("FP64", [3, 2]),
        ]
        assert outputs[1]["data"] == answers["predict_proba"].ravel().tolist()
        only = running.tensors(3, outputs=[{"name": "predict_proba"}])
        found = served.ask("POST", INFER, json.dumps(only)).json["outputs"]
        assert found == outputs[1:]
        missing = served.predict([running.rows()[0] | {"wind": None}])
        assert missing.status == 200  # as it was in training


def test_declared_keys_and_times_are_logged_and_not_given_to_the_model(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    making.write(
        models.root,
        {"assay.yaml": "data:\n  tables:\n    t: {path: t.csv, time: at, key: [at, station]}\n"},
    )
    with running.serving(models.root) as served:
        row = running.rows()[0] | {"at": "2012-01-01T00:00:00", "station": 7}
        answered = served.predict([row])
        assert answered.json["predictions"] == running.expected(models.bundles[1])
        record = logged(models, answered.json["prediction_id"]).record
        assert record.event_time == [1_325_376_000_000]
        assert record.inputs["station"] == ["7"]
        for wrong in ({"at": "noon"}, {"at": True}, {"at": 2**60}, {"station": 1.5}):
            assert served.predict([row | wrong]).status == 400
        other = served.predict([row | {"at": "2012-01-01T09:00:00+01:00", "station": "x"}])
        record = logged(models, other.json["prediction_id"]).record
        assert record.inputs["at"] == ["2012-01-01T08:00:00"]
        request = running.tensors()
        request["inputs"].append(
            {"name": "at", "shape": [1], "datatype": "INT64", "data": [1_325_376_000_000]}
        )
        answered = served.ask("POST", INFER, json.dumps(request))
        assert answered.json["outputs"][0]["data"] == running.expected(models.bundles[1])
        id_ = answered.headers["assay-prediction-id"]
        assert logged(models, id_).record.event_time == [1_325_376_000_000]
        names = [one["name"] for one in served.ask("GET", "/v2/models/bikes").json["inputs"]]
        assert "at" not in names
    making.write(models.root, {"truth.csv": "station,value\n7,12.5\n8,1.5\n"})
    said = json.loads(
        making.done(models.root, "feedback", "rentals", "truth.csv", "--key", "station", "--json")
    )
    assert (said["n_truths"], said["counts"]["n_rows"], said["counts"]["n_unknown"]) == (2, 1, 1)


def test_feedback_takes_one_truth_or_a_table(models: Models, served: Served):
    ids = [served.predict(running.rows()).json["prediction_id"] for _ in range(3)]
    logged(models, ids[-1])
    root = models.root
    making.done(root, "feedback", "rentals", "--id", ids[0], "--value", "3.5")
    lines = "".join(f"{id_}/0,{at}\n" for at, id_ in enumerate(ids))
    making.write(root, {"truth.csv": "prediction_id,value\n" + lines})
    assert making.done(root, "feedback", "rentals", "truth.csv") == "kept 3 truths\n"
    with feedback.joined(folder(models)) as joined:
        rows = dict(joined.rows(f"SELECT prediction_id, target FROM {joined.view}"))
    assert [rows[f"{id_}/0"] for id_ in ids] == [0, 1, 2]
    for arguments, code, said in [
        (["--id", ids[0]], 2, "give a FILE, or --id and --value"),
        (["truth.csv", "--key", "nope"], 2, "no column 'nope'"),
        (["truth.csv", "--target", "vlaue"], 2, "did you mean 'value'?"),
        (["--id", "mine", "--value", "1"], 255, "is no prediction id"),
        (["missing.csv"], 255, "missing.csv"),
    ]:
        shown = making.assay(root, "feedback", "rentals", *arguments)
        assert (shown.code, said in shown.err) == (code, True), shown


def test_a_truth_that_the_declared_model_cannot_answer_is_refused(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    declared = (
        "model: {name: bikes, task: binary, target: y, classes: [0, 1]}\n"
        "deploy: {endpoint: rentals}\n"
    )
    making.write(models.root, {"assay.yaml": declared})
    with running.serving(models.root) as served:
        id_ = served.predict(running.rows()).json["prediction_id"]
        headers = {"Content-Type": "application/json"}
        for value, status in (("yes", 400), (2, 400), (1, 200), ("0", 200)):
            body = json.dumps([{"prediction_id": id_, "value": value}])
            answered = served.ask("POST", "/feedback", body, headers)
            assert answered.status == status
            if status == 400:
                assert (
                    f"truth 1: assay.yaml: model.classes: {value!r} is none of the classes 0, "
                    "1" in answered.json["error"]
                )


def test_feedback_for_an_endpoint_that_never_was_is_an_error(models: Models):
    before = making.snapshot(folder(models))
    shown = making.assay(models.root, "feedback", "rental", "--id", "x", "--value", "1")
    assert shown.code == 255
    id_ = "01890a5d-ac96-774b-bcce-b302099a8057"
    shown = making.assay(models.root, "feedback", "rental", "--id", id_, "--value", "1")
    assert (shown.code, "did you mean 'rentals'?" in shown.err) == (255, True)
    assert making.snapshot(folder(models)) == before


def test_without_the_extra_it_is_said_how_to_install_it(models: Models):
    code = "import sys; sys.modules['uvicorn'] = None; from assay.cli import run; "
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(run(['serve', 'rentals', '--port', '0']))"],
        cwd=models.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (255, "")
    assert "pip install 'assay[serve]'" in done.stderr
