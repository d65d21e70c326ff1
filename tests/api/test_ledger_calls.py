"""`POST /api/ledger/FUNCTION` and `/api/packs`: what is called, what is refused."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.base.ids import uuid7
from assay.ledger import askable, operations, runs
from assay.ledger.exchange import records
from assay.ledger.hub import HubSink
from assay.ledger.operations import Batch, LogParams, StartRun
from assay.ledger.process import describe
from tests import mlflow

HEAD = {"Content-Type": "application/msgpack"}


def ask(hub: mlflow.Server, function: str, **given: Any) -> askable.Answer:
    body = msgspec.msgpack.encode(given)
    answered = hub.ask("POST", f"{askable.PATH}{function}", body, HEAD)
    assert answered.status == 200, answered
    return msgspec.msgpack.decode(answered.body, type=askable.Answer)


def refusal(hub: mlflow.Server, function: str, **given: Any) -> askable.Refusal:
    found = ask(hub, function, **given).refused
    assert found is not None
    return found


def test_a_function_answers_with_its_value(hub: mlflow.Server):
    run = hub.call("POST", "runs/create", experiment_id="0", run_name="one")["run"]["info"]
    answer = ask(hub, "ledger.runs.get", name=run["run_id"])
    assert msgspec.msgpack.decode(answer.value)["name"] == "one"


def test_numbers_of_any_size_arrive(hub: mlflow.Server):
    entropy = 334_110_313_512_923_482_910_349_201
    run = StartRun(
        run=uuid7(),
        name="a",
        kind="script",
        experiment="Default",
        at=1,
        process=describe(os.getpid()),
    )
    params = {"entropy": (str(entropy), "int"), "most": ("18446744073709551615", "int")}
    logged = LogParams(run=run.run, params=params)
    batch = Batch(sender=uuid7(), number=1, operations=(run, logged))
    answered = hub.ask("POST", "/api/records", operations.encode(batch))
    assert answered.json() == {"refused": []}
    with askable.HubLedger.open(HubSink(hub.url, objects=None, token=None)) as ledger:
        found = runs.get(ledger, run.run)
    assert found.params == {"entropy": entropy, "most": 2**64 - 1}


def test_an_error_of_the_function_comes_with_its_kind_and_hint(hub: mlflow.Server):
    said = refusal(hub, "ledger.models.get_version", name="never/1")
    assert (said.kind, said.what) == ("NotFound", "there is no model 'never'")
    assert said.hint is not None


@pytest.mark.parametrize(
    "function",
    [
        "ledger.runs.nothing",
        "ledger.purge.purge",
        "ledger.runs._resolve",
        "ledger.database.open_ledger",
        "x",
        ".",
    ],
)
def test_what_is_not_askable_cannot_be_called(hub: mlflow.Server, function: str):
    said = refusal(hub, function)
    assert (said.kind, said.what) == ("NotFound", f"the hub has no function {function!r}")


@pytest.mark.parametrize(
    "given", [{}, {"name": 1}, {"name": "latest", "more": 1}, {"ledger": "x", "name": "a"}]
)
def test_arguments_that_a_function_does_not_take_are_refused(
    hub: mlflow.Server, given: dict[str, Any]
):
    assert refusal(hub, "ledger.runs.get", **given).kind == "Usage"


def test_a_body_of_another_kind_is_refused(hub: mlflow.Server):
    for head in ({}, {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
        answered = hub.ask("POST", f"{askable.PATH}ledger.runs.get", b"\x80", head)
        assert answered.status == 400
        assert answered.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    answered = hub.ask("POST", f"{askable.PATH}ledger.runs.get", b"\xff not", HEAD)
    refused = msgspec.msgpack.decode(answered.body, type=askable.Answer).refused
    assert refused is not None
    assert refused.kind == "Usage"


def pack(*lines: bytes) -> bytes:
    return gzip.compress(b"\n".join([b'{"assay":"records","form":1}', *lines]) + b"\n", mtime=0)


def send(hub: mlflow.Server, content: bytes) -> mlflow.Answered:
    return hub.ask("POST", "/api/packs", content, {"Content-Type": "application/gzip"})


def run_record(id_: str, **more: Any) -> bytes:
    record = records.RunRecord(
        id=id_, name="packed", kind="script", status="finished", experiment="Default",
        start=1_000, end=2_000, **more,
    )  # fmt: skip
    return records.dump(record).strip()


def test_the_records_of_a_pack_are_taken_once(hub: mlflow.Server):
    id_ = "a" * 32
    assert send(hub, pack(run_record(id_))).json() == {"runs": 1, "refused": []}
    assert send(hub, pack(run_record(id_))).json() == {"runs": 0, "refused": []}
    assert hub.call("GET", "runs/get", run_id=id_)["run"]["info"]["run_name"] == "packed"


def test_a_record_that_is_none_is_left_out_and_named(hub: mlflow.Server):
    answered = send(hub, pack(b'{"record":"run","id":"../../x"}', run_record("b" * 32)))
    assert answered.json()["runs"] == 1
    assert len(answered.json()["refused"]) == 1


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"{}\n", mtime=0), pack()[:-9]]
)
def test_a_pack_that_is_none_is_refused(hub: mlflow.Server, content: bytes, tmp_path: Path):
    answered = send(hub, content)
    assert answered.status == 400, answered
    assert "/tmp" not in answered.body.decode()
