"""Uploads in parts: over several connections, gone on with after the hub ended, never half."""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests import mlflow
from tests.api.filing import Files, digest

MPU = "/api/2.0/mlflow-artifacts/mpu"
PARTS = [os.urandom(1 << 20) + b"1", b"22", os.urandom(3 << 20)]


@pytest.fixture
def files(hub: mlflow.Server) -> Files:
    return Files(hub)


def begin(
    files: Files, name: str, *, n_parts: Any = 3, headers: dict[str, str] | None = None
) -> Any:
    path = urllib.parse.quote(files.root)
    ask = {"path": f"/home/me/{name}", "num_parts": n_parts}
    return files.hub.ask("POST", f"{MPU}/create/{path}", ask, headers)


def send(files: Files, url: str, content: bytes, **headers: str) -> Any:
    address = url.removeprefix(files.hub.url)
    assert address.startswith("/")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return files.hub.ask("PUT", address, content, named)


def end(files: Files, what: str, name: str, upload_id: str, etags: list[str] | None = None) -> Any:
    parts = [{"part_number": number, "etag": etag} for number, etag in enumerate(etags or [], 1)]
    ask = {"path": f"/home/me/{name}", "upload_id": upload_id, "parts": parts}
    return files.hub.ask("POST", f"{MPU}/{what}/{files.root}", ask)


@pytest.mark.parametrize("name", ["large.bin", "h#1", "p%20q", "ä?", "a b"])
def test_parts_in_any_order_become_one_file_of_its_own_name(files: Files, name: str) -> None:
    begun = begin(files, name).json()
    urls = {one["part_number"]: one["url"] for one in begun["credentials"]}
    etags = {
        number: send(files, urls[number], PARTS[number - 1]).headers["etag"]
        for number in (3, 1, 2)
    }
    done = end(files, "complete", name, begun["upload_id"], [etags[one] for one in (1, 2, 3)])
    assert (done.status, done.body) == (200, b"{}")
    assert files.get(name) == b"".join(PARTS)
    assert [one["path"] for one in files.list()] == [name]
    assert etags[2] == f'"{hashlib.sha256(PARTS[1]).hexdigest()}"'


def test_a_file_of_windows_has_its_last_part_as_name(files: Files) -> None:
    ask = {"path": "C:\\data\\x.bin", "num_parts": 1}
    begun = files.hub.ask("POST", f"{MPU}/create/{files.root}/d", ask).json()
    send(files, begun["credentials"][0]["url"], b"x")
    ask = {"path": "C:\\data\\x.bin", "upload_id": begun["upload_id"], "parts": []}
    assert files.hub.ask("POST", f"{MPU}/complete/{files.root}/d", ask).status == 200
    assert files.get("d/x.bin") == b"x"


def test_an_upload_goes_on_after_the_hub_ended(tmp_path: Path) -> None:
    with mlflow.hub(tmp_path) as hub:
        files = Files(hub)
        begun = begin(files, "f").json()
        addresses = [one["url"].removeprefix(hub.url) for one in begun["credentials"]]
        send(files, addresses[0], PARTS[0])
        hub.kill()
    with mlflow.hub(tmp_path) as hub:
        files.hub = hub
        there = hub.ask("GET", f"{MPU}/parts/{begun['upload_id']}").json()
        assert (there["path"], there["num_parts"]) == (f"{files.root}/f", 3)
        assert [(one["part_number"], one["size"]) for one in there["parts"]] == [
            (1, len(PARTS[0]))
        ]
        for number in (1, 2):
            send(files, addresses[number], PARTS[number])
        for _ in range(2):  # an answer may be lost
            assert end(files, "complete", "f", begun["upload_id"]).status == 200
        assert files.get("f") == b"".join(PARTS)


def test_a_part_that_is_missing_or_wrong_is_named(files: Files) -> None:
    begun = begin(files, "f").json()
    url = begun["credentials"][1]["url"]
    send(files, url, b"x")
    found = end(files, "complete", "f", begun["upload_id"])
    assert (found.status, "not there yet: 1, 3" in found.json()["message"]) == (400, True)
    found = send(files, url, b"y", Content_Digest=digest(b"x"))
    assert (found.status, "Content-Digest" in found.json()["message"]) == (400, True)
    for one in begun["credentials"]:
        send(files, one["url"], b"x")
    found = end(files, "complete", "f", begun["upload_id"], ["", "0" * 64, ""])
    assert (found.status, "part 2 has the SHA-256" in found.json()["message"]) == (400, True)
    assert files.list() == []


def test_an_upload_that_is_given_up_is_gone(files: Files) -> None:
    begun = begin(files, "f").json()
    assert end(files, "abort", "f", begun["upload_id"]).status == 200
    assert end(files, "abort", "f", begun["upload_id"]).status == 200
    found = end(files, "complete", "f", begun["upload_id"])
    assert (found.status, found.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert send(files, begun["credentials"][0]["url"], b"x").status == 404


def test_an_upload_of_another_file_is_not_taken(files: Files) -> None:
    begun = begin(files, "f", n_parts=1).json()
    send(files, begun["credentials"][0]["url"], b"x")
    found = end(files, "complete", "other", begun["upload_id"])
    assert (found.status, found.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert files.list() == []


@pytest.mark.parametrize("n_parts", [0, -1, 10_001, "x", None])
def test_a_number_of_parts_that_cannot_be_is_refused(files: Files, n_parts: Any) -> None:
    found = begin(files, "f", n_parts=n_parts)
    if n_parts is None:  # as good as not given
        assert len(found.json()["credentials"]) == 1
    else:
        assert (found.status, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("number", ["0", "4", "x", "-1"])
def test_a_part_of_another_number_is_refused(files: Files, number: str) -> None:
    begun = begin(files, "f").json()
    found = files.hub.ask("PUT", f"{MPU}/part/{begun['upload_id']}/{number}", b"x")
    assert found.status == 400


@pytest.mark.parametrize("folder", ["../x", "%2e%2e", "a//b"])
def test_a_folder_that_climbs_out_is_refused(files: Files, folder: str) -> None:
    for name in ("x", ".."):
        ask = {"path": name, "num_parts": 1}
        for address in (f"{files.root}/{folder}", "..", "0/no/artifacts"):
            assert files.hub.ask("POST", f"{MPU}/create/{address}", ask).status == 400


def test_a_part_goes_to_who_was_asked_with_the_token_that_was_sent(files: Files) -> None:
    one = begin(files, "f", headers={"Authorization": "Bearer abc"}).json()["credentials"][0]
    assert one["headers"] == {"Authorization": "Bearer abc"}
    assert one["url"].startswith(f"{files.hub.url}{MPU}/part/")
    assert begin(files, "f").json()["credentials"][0]["headers"] == {}


def test_who_asks_through_a_proxy_sends_parts_through_it(files: Files) -> None:
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example"}
    one = begin(files, "f", headers=told).json()["credentials"][0]
    assert one["url"].startswith(f"https://hub.example{MPU}/part/")
    one = begin(files, "f", headers={"X-Forwarded-Proto": "gopher"}).json()["credentials"][0]
    assert one["url"].startswith(f"{files.hub.url}{MPU}/part/")


def test_a_body_that_is_not_json_is_refused(files: Files) -> None:
    address = f"{MPU}/create/{files.root}"
    for headers in ({}, {"Content-Type": "application/json"}):
        found = files.hub.ask("POST", address, b"{nonsense", headers)
        assert (found.status, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_deleted_run_takes_no_upload(files: Files) -> None:
    begun = begin(files, "f", n_parts=1).json()
    send(files, begun["credentials"][0]["url"], b"x")
    files.hub.call("POST", "runs/delete", run_id=files.run)
    assert begin(files, "f").status == 400
    assert end(files, "complete", "f", begun["upload_id"]).status == 400
    assert files.list() == []
