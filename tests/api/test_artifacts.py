"""The artifact proxy: files go in and out whole, streamed, and never anywhere else."""

from __future__ import annotations

import os
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import mlflow
from tests.api.filing import LARGE, TREE, Files, oid, place


@pytest.fixture
def files(hub: mlflow.Server) -> Files:
    return Files(hub)


@pytest.fixture(scope="module")
def store(hub: mlflow.Server) -> Path:
    """Where the hub keeps objects."""
    return hub.log.parent / "hub" / "objects" / "sha256"


@pytest.mark.parametrize("content", [b"", b"a", b"x" * (1 << 20), LARGE], ids=len)
def test_a_file_comes_back_as_it_was(files: Files, content: bytes) -> None:
    files.put("d/f.bin", content)
    found = files.ask("GET", "d/f.bin")
    assert (found.status, found.body) == (200, content)
    assert found.headers["content-length"] == str(len(content))
    assert found.headers["etag"] == f'"sha256:{oid(content)}"'
    assert found.headers["accept-ranges"] == "bytes"
    assert found.headers["x-content-type-options"] == "nosniff"


def test_the_same_bytes_are_stored_once(files: Files, store: Path) -> None:
    content = os.urandom(100)
    for number in range(5):
        files.put(f"{number}.bin", content)
    assert place(store, content).read_bytes() == content
    assert [one["file_size"] for one in files.list()] == [100] * 5


def test_a_file_again_replaces_the_first(files: Files) -> None:
    files.put("a", b"1")
    files.put("a", b"22")
    assert files.get("a") == b"22"


def test_who_reads_while_others_write_gets_one_of_the_files_whole(files: Files) -> None:
    contents = [bytes([number]) * (1 << 21) for number in range(6)]
    files.put("f", contents[0])
    with ThreadPoolExecutor(12) as pool:
        puts = [pool.submit(files.put, "f", one) for one in contents]
        found = [one.result() for one in [pool.submit(files.get, "f") for _ in contents]]
        for put in puts:
            put.result()
    assert all(one in contents for one in (*found, files.get("f")))
    assert len(files.list()) == 1


def test_lists_have_base_names_or_paths(files: Files) -> None:
    for path in ("a/b/c.txt", "a/d.txt", "e"):
        files.put(path, b"" if path == "e" else b"x")
    assert files.list() == [{"path": "a", "is_dir": True}, {"path": "e", "is_dir": False}]
    inner = [
        {"path": "b", "is_dir": True},
        {"path": "d.txt", "is_dir": False, "file_size": 1},
    ]
    for folder in ("a", "a/", "a//"):
        found = files.hub.ask("GET", f"{TREE}?path={files.root}/{folder}")
        assert found.json() == {"files": inner}
    assert [one["path"] for one in files.list("a")] == ["a/b", "a/d.txt"]
    for nothing in ("e", "no", "a/no"):
        assert files.hub.ask("GET", f"{TREE}?path={files.root}/{nothing}").json() == {}
        assert files.list(nothing) == []


def test_a_list_of_a_run_names_its_root(files: Files) -> None:
    found = files.hub.call("GET", "artifacts/list", run_id=files.run)
    assert found == {"root_uri": f"mlflow-artifacts:/{files.root}"}


def test_what_is_not_there_is_404_and_a_folder_is_400(files: Files) -> None:
    files.put("a/b", b"x")
    missing, folder, root = (files.ask("GET", path) for path in ("no", "a", "a/no"))
    assert (missing.status, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert (folder.status, folder.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert folder.json()["message"] == "Artifact path refers to a directory, not a file: 'a'"
    assert root.status == 404


def test_deleting_takes_a_file_a_folder_or_nothing(files: Files) -> None:
    for path in ("a/b", "a/c", "d"):
        files.put(path, b"x")
    for path, left in (("no", ["a", "d"]), ("d", ["a"]), ("a/", [])):
        found = files.ask("DELETE", path)
        assert (found.status, found.body) == (200, b"{}")
        assert [one["path"] for one in files.list()] == left


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [("bytes=0-0", 206, slice(0, 1)), ("bytes=2-4", 206, slice(2, 5)),
     ("bytes=5-", 206, slice(5, None)), ("bytes=-3", 206, slice(-3, None)),
     ("bytes=-999999999", 206, slice(None)), ("bytes=3-999999999", 206, slice(3, None)),
     ("bytes=999999999-", 416, slice(0)), ("bytes=-0", 416, slice(0)),
     (f"bytes={'1' * 5000}-", 200, slice(None)),
     ("bytes=4-2", 416, slice(0)), ("bytes=-", 200, slice(None)), ("bytes=a-b", 200, slice(None)),
     ("lines=1-2", 200, slice(None)), ("bytes=0-1,3-4", 200, slice(None))],
)  # fmt: skip
@pytest.mark.parametrize("content", [b"0123456789", LARGE], ids=len)
def test_a_range_is_answered(
    files: Files, content: bytes, asked: str, status: int, part: slice
) -> None:
    files.put("f", content)
    found = files.ask("GET", "f", Range=asked)
    assert (found.status, found.body) == (status, content[part])
    if status == 206:
        start, end, _ = part.indices(len(content))
        assert found.headers["content-range"] == f"bytes {start}-{end - 1}/{len(content)}"
    if status == 416:
        assert found.headers["content-range"] == f"bytes */{len(content)}"


def test_a_range_of_another_version_is_all_of_this_one(files: Files) -> None:
    files.put("f", b"0123")
    tag = files.ask("GET", "f").headers["etag"]
    assert files.ask("GET", "f", Range="bytes=1-2", If_Range=tag).body == b"12"
    assert files.ask("GET", "f", Range="bytes=1-2", If_Range='"old"').body == b"0123"
    assert files.ask("GET", "f", If_None_Match=tag).status == 304


@pytest.mark.parametrize("content", [b"abc", LARGE], ids=len)
def test_head_answers_without_the_bytes(files: Files, content: bytes) -> None:
    files.put("f", content)
    found = files.ask("HEAD", "f")
    assert (found.status, found.body) == (200, b"")
    assert found.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("name", "kind", "saved"),
    [("a.txt", "text/plain", "attachment; filename=a.txt"),
     ("MLmodel", "text/plain", "attachment; filename=MLmodel"),
     ("x.json", "text/plain", "attachment; filename=x.json"),
     ("x.html", "text/html", "attachment; filename=x.html"),
     ("x", "application/octet-stream", "attachment; filename=x"),
     ("a b.png", "image/png", 'attachment; filename="a b.png"'),
     ('a"b\\c', "application/octet-stream", 'attachment; filename="a\\"b\\\\c"'),
     ("日本", "application/octet-stream",
      "attachment; filename=download; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
     ("a\nb", "application/octet-stream", "attachment; filename=ab; filename*=UTF-8''a%0Ab")],
)  # fmt: skip
def test_a_browser_saves_it_and_does_not_show_it(
    files: Files, name: str, kind: str, saved: str
) -> None:
    files.put(name, b"<script>")
    found = files.ask("GET", urllib.parse.quote(name))
    assert (found.headers["content-type"], found.headers["content-disposition"]) == (kind, saved)
    query = urllib.parse.urlencode({"run_id": files.run, "path": name})
    other = files.hub.ask("GET", f"/get-artifact?{query}")
    assert (other.body, other.headers["content-disposition"]) == (b"<script>", saved)


def test_odd_names_never_collide(files: Files) -> None:
    names = [
        "h",
        "h#1",
        "h#2",
        "h%231",
        "q",
        "q?x",
        "q%3Fx",
        "p q",
        "p%20q",
        "p+q",
        "100%",
        "\uff0523",
    ]
    for name in names:
        files.put(name, name.encode())
    assert {name: files.get(name) for name in names} == {name: name.encode() for name in names}
    assert sorted(one["path"] for one in files.list()) == sorted(names)
    for name in names:
        query = urllib.parse.urlencode({"run_id": files.run, "path": name})
        assert files.hub.ask("GET", f"/get-artifact?{query}").body == name.encode()
    assert files.ask("DELETE", "q?x").status == 200
    assert files.get("q") == b"q"


CLIMBING = [
    "../x", "a/../../x", "%2e%2e/x", "%2E%2e%2fx", "%252e%252e/x", "%25252e%25252e%25252fx",
    "..%2fx", "..%5cx", "a/..%5c..%5cx", "./x", "a//b", "%00", "a%00b", "x" * 1000, "%ff",
]  # fmt: skip


@pytest.mark.parametrize("path", CLIMBING)
def test_a_path_that_climbs_out_is_refused_by_all(files: Files, store: Path, path: str) -> None:
    before = sorted(store.rglob("*"))
    for method in ("PUT", "GET", "DELETE"):
        found = files.ask(method, path, b"x" if method == "PUT" else None)
        assert (found.status, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert found.json()["message"].startswith("Invalid path")
    assert files.list() == []
    assert sorted(store.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    ["../x", "%2e%2e/x", "%252e%252e/x", "..\\x", "/etc/passwd", "C:/x", "C:\\x", "\\\\h\\s\\x"],
)
def test_a_path_in_a_query_that_climbs_out_is_refused(files: Files, path: str) -> None:
    run = {"run_id": files.run, "path": path}
    for address in (
        f"{TREE}?" + urllib.parse.urlencode({"path": path}),
        "/api/2.0/mlflow/artifacts/list?" + urllib.parse.urlencode(run),
        "/get-artifact?" + urllib.parse.urlencode(run),
    ):
        found = files.hub.ask("GET", address)
        assert found.status == 400, address
        assert found.json()["message"].startswith("Invalid path"), address


@pytest.mark.parametrize("path", ["/etc/passwd", "C:/x", "%2fetc/passwd"])
def test_an_absolute_path_is_refused(hub: mlflow.Server, path: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        found = hub.ask(method, f"{TREE}/{path}", b"x" if method == "PUT" else None)
        assert (found.status, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("path", ["C:/x", "C%3A%5Cx"])
def test_a_drive_of_who_would_download_it_is_refused(files: Files, path: str) -> None:
    assert files.ask("PUT", path, b"x").status == 400
    assert files.list() == []


def test_a_path_that_is_nobodys_is_refused(files: Files) -> None:
    for path in ("x", "0/x", f"1/{files.run}/artifacts/x", f"{files.run}/artifacts/x",
                 "0/traces/tr-1/artifacts/traces.json", f"0/{'0' * 32}/artifacts/x"):  # fmt: skip
        for method in ("PUT", "GET", "DELETE"):
            found = files.hub.ask(method, f"{TREE}/{path}", b"x" if method == "PUT" else None)
            assert found.status == 400
            assert "no run and no logged model keeps its files at" in found.json()["message"]


def test_above_the_runs_are_the_folders_that_lead_to_files(files: Files) -> None:
    def folders(path: str) -> list[str]:
        found = files.hub.ask("GET", f"{TREE}?path={path}").json().get("files", [])
        assert all(one["is_dir"] for one in found)
        return [one["path"] for one in found]

    call = files.hub.call
    made = call("POST", "experiments/create", name="of this test")["experiment_id"]
    run, other = (
        call("POST", "runs/create", experiment_id=made)["run"]["info"]["run_id"] for _ in "ab"
    )
    assert folders(made) == folders(f"{made}/{run}") == []
    files.hub.ask("PUT", f"{TREE}/{made}/{run}/artifacts/d/a", b"x")
    model = call("POST", "logged-models", experiment_id=made)["model"]["info"]["model_id"]
    assert folders(made) == [run]
    files.hub.ask("PUT", f"{TREE}/{made}/models/{model}/artifacts/MLmodel", b"x")
    assert made in folders("")
    assert folders(f"{made}") == folders(f"{made}/") == sorted([run, "models"])
    assert folders(f"{made}/{run}") == folders(f"{made}/models/{model}") == ["artifacts"]
    assert folders(f"{made}/models") == [model]
    assert folders(f"{made}/{other}") == folders(f"{made}/{other}/artifacts") == []
    assert folders("nothing") == folders(f"1{made}") == folders(f"9/{run}/artifacts") == []
    assert folders(f"{made}/{run}/artifacts") == ["d"]
    assert files.hub.ask("GET", f"{TREE}?path=../x").status == 400


def test_a_page_puts_a_small_file_into_a_run(files: Files) -> None:
    def send(body: bytes, **query: str) -> mlflow.Answered:
        address = f"/ajax-api/2.0/mlflow/upload-artifact?{urllib.parse.urlencode(query)}"
        return files.hub.ask("POST", address, body)

    found = send(b"hi", run_uuid=files.run, path="a/b c.txt")
    assert (found.status, found.body) == (200, b"")
    assert files.get("a/b c.txt") == b"hi"
    before = files.list()
    for body, query, status, words in (
        (b"hi", {"path": "x"}, 400, "Request must specify run_uuid."),
        (b"hi", {"run_uuid": files.run}, 400, "Request must specify path."),
        (b"", {"run_uuid": files.run, "path": "x"}, 400, "Request must specify data."),
        (b"hi", {"run_uuid": files.run, "path": "../x"}, 400, "Invalid path '../x'"),
        (b"hi", {"run_uuid": files.run, "path": "a"}, 400, "'a' is a folder"),
        (b"hi", {"run_uuid": "nope", "path": "x"}, 404, "Run with id=nope not found"),
        (b"x" * 10_485_761, {"run_uuid": files.run, "path": "x"}, 400, "Max size is 10MB."),
    ):
        found = send(body, **query)
        assert found.status == status
        assert words in found.json()["message"]
    assert files.list() == before


@pytest.mark.parametrize("value", [":\u00e9:", ":a:", ":=:"])
def test_a_digest_that_is_not_base64_is_refused(files: Files, value: str) -> None:
    found = files.ask("PUT", "a", b"x", Content_Digest=f"sha-256={value}")
    assert (found.status, "'Content-Digest' is not" in found.json()["message"]) == (400, True)
    assert files.list() == []


def test_the_root_is_no_file(files: Files) -> None:
    found = files.hub.ask("PUT", f"{TREE}/{files.root}", b"x")
    assert (found.status, "it is a folder" in found.json()["message"]) == (400, True)


def test_a_file_is_no_folder(files: Files) -> None:
    files.put("a", b"x")
    found = files.ask("PUT", "a/b", b"x")
    assert (found.status, "'a' is a file" in found.json()["message"]) == (400, True)


def test_a_deleted_run_is_read_only(files: Files) -> None:
    files.put("a", b"x")
    files.hub.call("POST", "runs/delete", run_id=files.run)
    found = files.ask("PUT", "b", b"x")
    assert found.status == 400
    assert "must be in the 'active' state" in found.json()["message"]
    assert files.get("a") == b"x"


def test_files_of_a_version_are_sent_to_a_browser(hub: mlflow.Server) -> None:
    model = hub.call("POST", "logged-models", experiment_id="0", name="m")["model"]["info"]
    hub.ask("PUT", f"{TREE}/0/models/{model['model_id']}/artifacts/d/MLmodel", b"flavors: {}")
    hub.call("POST", "registered-models/create", name="boats")
    for fields in ({"source": f"models:/{model['model_id']}", "model_id": model["model_id"]},
                   {"source": "s3://bucket/a"}):  # fmt: skip
        hub.call("POST", "model-versions/create", name="boats", **fields)
    address = "/model-versions/get-artifact?name=boats&version="
    assert hub.ask("GET", f"{address}1&path=d/MLmodel").body == b"flavors: {}"
    for rest, status, word in (
        ("1&path=no", 404, "No such artifact: 'no'"),
        ("1&path=d", 400, "refers to a directory"),
        ("1&path=../x", 400, "Invalid path"),
        ("2&path=a", 400, "The hub does not keep the files of version 2 of 'boats'"),
        ("3&path=a", 404, "Model Version (name=boats, version=3) not found"),
        ("x&path=a", 400, "version"),
    ):
        found = hub.ask("GET", address + rest)
        assert (found.status, word in found.json()["message"]) == (status, True), found


def test_an_unknown_run_is_404(hub: mlflow.Server) -> None:
    for address in ("/api/2.0/mlflow/artifacts/list?run_id=no", "/get-artifact?run_id=no&path=a"):
        found = hub.ask("GET", address)
        assert (found.status, found.json()["message"]) == (404, "Run with id=no not found")


MLFLOW = "mlflow-python-client/3.17.2"


def test_a_name_that_was_cut_does_not_replace_another_file(files: Files) -> None:
    client = {"User_Agent": MLFLOW}
    octets, image = "application/octet-stream", "image/png"
    assert files.ask("PUT", "plot", b"1", Content_Type=image, **client).status == 200
    assert files.ask("PUT", "plot", b"1", Content_Type=image, **client).status == 200
    found = files.ask("PUT", "plot", b"2", Content_Type=image, **client)
    assert (found.status, found.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "whose name was cut" in found.json()["message"]
    assert files.get("plot") == b"1"
    assert files.ask("PUT", "plot", b"3", Content_Type=octets, **client).status == 200
    assert files.ask("PUT", "plot", b"4", Content_Type=image).status == 200
    assert files.get("plot") == b"4"


@pytest.mark.parametrize("what", ["upload", "download"])
def test_no_address_of_another_store_is_given(files: Files, what: str) -> None:
    address = f"/api/2.0/mlflow/artifacts/presigned-{what}-url"
    found = files.hub.ask("POST", address, {"run_id": files.run, "path": "a"})
    assert found.status == 400
    assert f"Presigned {what} is not supported" in found.json()["message"]
    tree = files.hub.ask("GET", f"/api/2.0/mlflow-artifacts/presigned/{files.root}/a")
    assert (tree.status, tree.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
