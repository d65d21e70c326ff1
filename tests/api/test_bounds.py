"""What one client sends is bounded, whatever it is packed in: the others go on."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.api import app as apps
from assay.api.hub import Hub, Limits
from assay.api.mlflow import sources
from assay.ledger import listing, operations, runs, tables
from assay.ledger.database import open_ledger
from assay.ledger.exchange import packs
from assay.ledger.exchange.records import RunRecord
from assay.ledger.operations import AddInputs, Batch, StartRun
from assay.ledger.process import describe
from assay.ledger.search.runs import RunQuery
from assay.ledger.writer import Code, Data
from assay.objects.cache import Cache
from tests.api.test_app import ask

API = "/api/2.0/mlflow"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    store = Cache(tmp_path / "objects", algorithm="sha256")
    limits = Limits(body=100_000)
    with Hub(open_ledger(tmp_path / "ledger.db"), store, limits=limits) as made:
        yield made


def post(hub: Hub, path: str, fields: Any) -> tuple[int, Any]:
    return ask(apps.app(hub), "POST", API + path, msgspec.json.encode(fields))


def refused(hub: Hub, path: str, fields: Any) -> str:
    status, found = post(hub, path, fields)
    assert (status, found["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    return str(found["message"])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("runs:/x%" + "25" * 500, "it is encoded too often"),
        ("mlflow-artifacts:/0/r/x%" + "25" * 500, "it is encoded too often"),
        ("s3://b/" + "x" * sources.LONGEST, "'source' exceeds the maximum length of 2048"),
    ],
)
def test_a_source_is_short_and_decoded_some_times_only(hub: Hub, source: str, words: str):
    assert post(hub, "/registered-models/create", {"name": "m"})[0] == 200
    assert words in refused(hub, "/model-versions/create", {"name": "m", "source": source})
    longest = "s3://b/".ljust(sources.LONGEST, "x")
    status, made = post(hub, "/model-versions/create", {"name": "m", "source": longest})
    assert (status, made["model_version"]["version"]) == (200, "1")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/runs/create", {"experiment_id": "0"}),
        ("/experiments/create", {"name": "e"}),
        ("/registered-models/create", {"name": "n"}),
        ("/model-versions/create", {"name": "m", "source": "s3://b/1"}),
        ("/logged-models", {"experiment_id": "0", "name": "l"}),
    ],
)
def test_what_is_new_has_a_thousand_tags_at_most(hub: Hub, path: str, fields: dict[str, Any]):
    assert post(hub, "/registered-models/create", {"name": "m"})[0] == 200
    tags = [{"key": f"k{number}", "value": "v"} for number in range(1001)]
    said = refused(hub, path, fields | {"tags": tags})
    assert said.startswith("A request can name at most 1000 tags. Got 1001 tags.")
    assert post(hub, path, fields | {"tags": tags[1:]})[0] == 200


def test_the_tag_that_is_given_twice_is_named(hub: Hub):
    tags = [{"key": key, "value": ""} for key in ("a", "b", "c", "b")]
    status, found = post(hub, "/runs/create", {"experiment_id": "0", "tags": tags})
    assert (status, found["message"]) == (400, "The tag 'b' is given twice; give it once")


@pytest.mark.parametrize("text", ["²", "٣", "9" * 5000, "1" * 10])
def test_a_number_of_a_name_is_a_short_one(hub: Hub, text: str):
    fields = {"experiment_ids": ["0"], "run_view_type": text}
    assert "parameter 'run_view_type'" in refused(hub, "/runs/search", fields)
    assert post(hub, "/runs/search", fields | {"run_view_type": "1"})[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/bundles",
        "bundles/",
        "/bundles/x",
        "///bundles",
        "/%62undles",
        "/./bundles",
        "/bundles?x=1",
    ],
)
def test_no_experiment_is_among_the_bundles(hub: Hub, path: str):
    place = f"mlflow-artifacts:{path}"
    said = refused(hub, "/experiments/create", {"name": "e", "artifact_location": place})
    assert "cannot be below 'mlflow-artifacts:/bundles'" in said
    assert "Leave it out, and the hub keeps the files" in said


def test_no_experiment_is_out_of_the_tree(hub: Hub):
    fields = {"name": "e", "artifact_location": "mlflow-artifacts:/7/../8"}
    assert "it leads out of its folder" in refused(hub, "/experiments/create", fields)
    for climbing in ("/%2e%2e/8", "/7/%252e%252e/8", "/7/..", ":/..\\8"):
        fields = {"name": "e", "artifact_location": f"mlflow-artifacts:{climbing}"}
        assert "it leads out of its folder" in refused(hub, "/experiments/create", fields)
    for place in ("mlflow-artifacts:/bundles-of-ours", "mlflow-artifacts:/", "mlflow-artifacts:"):
        fields = {"name": place, "artifact_location": place}
        assert post(hub, "/experiments/create", fields)[0] == 200


def test_a_body_of_json_for_an_upload_is_as_any_other(hub: Hub):
    app = apps.app(hub)
    path = "/api/2.0/mlflow-artifacts/mpu/abort/0/r/artifacts"
    body = msgspec.json.encode({"path": "x", "upload_id": "0" * 32})
    kind = {"content-type": "Application/JSON; charset=utf-8"}
    assert ask(app, "POST", path, body, headers=kind)[0] == 200
    status, found = ask(app, "POST", path, body.ljust(200_000), headers=kind)
    assert (status, found["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
    status, found = ask(app, "POST", path, body, headers={"content-type": "text/plain"})
    assert (status, found["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_what_the_parts_of_an_upload_are_told_is_bounded_in_all(hub: Hub):
    path, given = (
        "/api/2.0/mlflow-artifacts/mpu/create/0/r/artifacts",
        {"authorization": "x" * 900},
    )
    body = msgspec.json.encode({"path": "x", "num_parts": 10_000})
    status, found = ask(apps.app(hub), "POST", path, body, headers=given)
    assert (status, found["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "upload fewer, larger parts" in found["message"]
    assert list(hub.objects.folder.glob("upload.*")) == []


@pytest.mark.parametrize("size", [-1, 0, 10**12])
def test_a_page_of_runs_has_a_run_and_a_thousand_at_most(hub: Hub, size: int):
    same = {"name": "a", "kind": "script", "status": "finished", "experiment_id": 0, "start": 1}
    with hub.ledger.write() as connection:
        rows = [same | {"id": f"{number:032x}"} for number in range(1_001)]
        connection.execute(tables.run.insert(), rows)
    page = listing.page_of_runs(hub.ledger, RunQuery(), size=size)
    assert len(page.runs) == (1_000 if size > 0 else 1)
    assert page.token is not None


def record(number: int, *, size: int = 1) -> RunRecord:
    return RunRecord(
        id=f"01a20153-0000-7000-8000-{number:012x}", name="n", kind="script", status="finished",
        experiment="Default", start=1, end=2, code_reason="x", params={"k": ("a" * size, "str")},
    )  # fmt: skip


def test_a_pack_that_is_very_much_more_unpacked_is_refused_as_a_whole(hub: Hub, tmp_path: Path):
    path, kind = tmp_path / "pack", {"content-type": "application/gzip"}
    packs.write(path, [record(0), *(record(n, size=5000) for n in range(1, 200))])
    assert path.stat().st_size < hub.limits.body
    app = apps.app(hub)
    status, found = ask(app, "POST", "/api/packs", path.read_bytes(), headers=kind)
    assert (status, found["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
    assert "more than 800000 bytes, unpacked" in found["message"]
    assert runs.list_(hub.ledger) == []
    packs.write(path, [record(0)])
    status, found = ask(app, "POST", "/api/packs", path.read_bytes(), headers=kind)
    assert (status, found["refused"]) == (200, [])
    bomb = gzip.compress(b"x" * 10_000_000)
    assert ask(app, "POST", "/api/packs", bomb, headers=kind)[0] == 413


def send(hub: Hub, number: int, *found: Any) -> list[str]:
    body = operations.encode(Batch(sender="s", number=number, operations=found))
    status, answer = ask(apps.app(hub), "POST", "/api/records", body)
    assert status == 200, answer
    return [one["what"] for one in answer["refused"]]


def oid(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_patch_and_a_parameter_file_that_were_not_sent_are_told(hub: Hub):
    patch, params = oid(b"patch"), oid(b"params")
    started = StartRun(
        run="r1", name="n", kind="script", experiment="e", at=1, process=describe(1),
        code=Code(commit="c" * 40, diff=patch),
    )  # fmt: skip
    assert send(hub, 1, started) == [f"this is not recorded: the file {patch} was not sent"]
    hub.objects.add(b"patch")
    assert send(hub, 2, started) == []
    read = AddInputs(run="r1", data=(Data(path="p.yaml", oid=params, kind="params"),), at=1)
    assert send(hub, 3, read) == [f"this is not recorded: the file {params} was not sent"]
    hub.objects.add(b"params")
    assert send(hub, 4, read) == []


def test_an_old_object_that_is_asked_for_is_left_by_the_next_gc(hub: Hub):
    place = hub.objects.path(hub.objects.add(b"1"))
    os.utime(place, (1_000_000, 1_000_000))
    digest = hashlib.sha256(b"1").hexdigest()
    path = f"/api/objects/sha256/{digest}"
    assert ask(apps.app(hub), "GET", path)[0] == 200
    assert place.stat().st_mtime == 1_000_000
    assert ask(apps.app(hub), "HEAD", path)[0] == 200
    assert place.stat().st_mtime > 1_000_000_000
