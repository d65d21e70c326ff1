"""What goes wrong with a file on its way: it is whole or not there, and who sent it is told."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import resource
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import mlflow
from tests.api.filing import LARGE, TREE, Files, digest, gone, kept, left_over, oid, place, until


@pytest.fixture
def files(hub: mlflow.Server) -> Files:
    return Files(hub)


@pytest.fixture(scope="module")
def store(hub: mlflow.Server) -> Path:
    """Where the hub keeps objects."""
    return hub.log.parent / "hub" / "objects" / "sha256"


@contextlib.contextmanager
def raw(hub: mlflow.Server) -> Iterator[socket.socket]:
    parts = urllib.parse.urlsplit(hub.url)
    with socket.create_connection((str(parts.hostname), parts.port), timeout=20) as opened:
        yield opened


def head(files: Files, name: str, *lines: str) -> bytes:
    host = urllib.parse.urlsplit(files.hub.url).netloc
    first = f"PUT {TREE}/{files.root}/{name} HTTP/1.1"
    return "\r\n".join([first, f"Host: {host}", *lines, "", ""]).encode()


def test_an_empty_file_may_come_in_chunks(files: Files) -> None:
    with raw(files.hub) as opened:
        opened.sendall(head(files, "empty", "Transfer-Encoding: chunked") + b"0\r\n\r\n")
        assert b" 200 " in opened.recv(200)
    assert files.get("empty") == b""
    assert files.list() == [{"path": "empty", "is_dir": False}]


@pytest.mark.parametrize("sent", [0, 100, 3 << 20])
def test_an_upload_that_is_cut_off_leaves_nothing(files: Files, store: Path, sent: int) -> None:
    files.put("f", b"before")
    before, n_gone = kept(store), gone(files.hub)
    with raw(files.hub) as opened:
        opened.sendall(head(files, "f", "Content-Length: 10000000") + b"x" * sent)
    until(lambda: gone(files.hub) == n_gone + 1)
    until(lambda: kept(store) == before)
    assert files.get("f") == b"before"


def test_what_a_killed_hub_left_is_swept_by_the_next_upload(tmp_path: Path) -> None:
    store = tmp_path / "hub" / "objects" / "sha256"
    with mlflow.hub(tmp_path) as hub:
        files = Files(hub)
        with raw(hub) as opened:
            opened.sendall(head(files, "f", "Content-Length: 10000000") + b"x" * (3 << 20))
            until(lambda: bool(left_over(store)))
            hub.kill()
    assert left_over(store)
    with mlflow.hub(tmp_path) as hub:
        files.hub = hub
        assert files.list() == []
        files.put("g", b"x")
        assert left_over(store) == []
        assert kept(store) == [place(store, b"x")]


def test_chunks_that_are_not_in_form_leave_nothing(files: Files, store: Path) -> None:
    with raw(files.hub) as opened:
        opened.sendall(
            head(files, "f", "Transfer-Encoding: chunked") + b"5\r\nhello\r\nnonsense\r\n"
        )
        opened.recv(200)
    until(lambda: not left_over(store))
    assert files.list() == []


def test_of_a_body_longer_than_it_says_no_more_is_taken(files: Files) -> None:
    with raw(files.hub) as opened:
        opened.sendall(head(files, "f", "Content-Length: 5") + b"hello and more")
        while opened.recv(1000):
            pass
    found = files.ask("GET", "f")  # the rest is taken for a request that makes no sense
    assert found.status == 404 or found.body == b"hello"
    assert files.hub.lives()


@pytest.mark.parametrize("content", [b"abc", LARGE], ids=len)
def test_a_digest_that_is_told_is_checked(files: Files, store: Path, content: bytes) -> None:
    assert files.ask("PUT", "a", content, Content_Digest=digest(content)).status == 200
    wrong = content[:-1] + b"?"
    found = files.ask("PUT", "a", wrong, Content_Digest=digest(content))
    assert (found.status, oid(wrong) in found.json()["message"]) == (400, True)
    assert files.get("a") == content
    until(lambda: not left_over(store))
    assert not place(store, wrong).exists()
    assert files.ask("PUT", "a", content, Content_Digest="sha-256=:?:").status == 400


@pytest.mark.parametrize("content", [b"secret", LARGE[1:]], ids=len)
def test_damaged_bytes_are_not_handed_out_as_whole(
    files: Files, store: Path, content: bytes
) -> None:
    files.put("f", content)
    place(store, content).chmod(0o644)
    with place(store, content).open("r+b") as handle:
        handle.seek(3)
        handle.write(b"!")
    if len(content) > 1 << 20:
        with pytest.raises(http.client.IncompleteRead):
            files.ask("GET", "f")
    else:
        found = files.ask("GET", "f")
        assert (found.status, "is damaged" in found.json()["message"]) == (400, True)
    found = files.ask("GET", "f")
    assert (found.status, found.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    files.put("f", content)
    assert files.get("f") == content


@pytest.mark.parametrize("content", [b"public", LARGE[2:]], ids=len)
def test_a_symlink_in_the_store_is_not_followed(
    files: Files, store: Path, tmp_path: Path, content: bytes
) -> None:
    files.put("f", content)
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * len(content))
    place(store, content).unlink()
    place(store, content).symlink_to(outside)
    found = files.ask("GET", "f")
    assert found.status in {400, 404}
    assert b"xxx" not in found.body
    files.put("f", content)
    assert files.get("f") == content
    assert outside.read_bytes() == b"x" * len(content)


def test_a_full_disk_is_said_to_be_and_leaves_nothing(tmp_path: Path) -> None:
    with mlflow.hub(tmp_path) as hub:
        files = Files(hub)
        files.put("small", b"x")
        pid = hub.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))
        for content in (LARGE, LARGE + LARGE):
            found = files.ask("PUT", "large", content)
            assert (found.status, found.json()["error_code"]) == (507, "RESOURCE_EXHAUSTED")
            assert "File too large. Nothing of it was kept" in found.json()["message"]
        store = tmp_path / "hub" / "objects" / "sha256"
        until(lambda: not left_over(store))
        assert [one["path"] for one in files.list()] == ["small"]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        files.put("large", LARGE)
        assert files.get("large") == LARGE


class Endless:
    """A file of some bytes that no memory holds."""

    def __init__(self, size: int) -> None:
        self.left, self.block, self.digest = size, os.urandom(1 << 20), hashlib.sha256()

    def read(self, most: int = 1 << 20) -> bytes:
        found = self.block[: min(most, self.left)]
        self.left -= len(found)
        self.digest.update(found)
        return found


def peak(pid: int) -> int:
    """Return the most memory that a process had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_300_megabytes_go_both_ways_in_a_few(tmp_path: Path) -> None:
    size = 300 << 20
    with mlflow.hub(tmp_path) as hub:
        files = Files(hub)
        files.put("warm", LARGE)
        files.get("warm")
        before, sent = peak(hub.process.pid), Endless(size)
        address = f"{TREE}/{files.root}/large.bin"
        with contextlib.closing(hub.connect()) as connection:
            connection.request("PUT", address, sent, {"Content-Length": str(size)})
            assert connection.getresponse().status == 200
        with contextlib.closing(hub.connect()) as connection:
            connection.request("GET", address)
            answer, found = connection.getresponse(), hashlib.sha256()
            while piece := answer.read(1 << 20):
                found.update(piece)
        assert found.digest() == sent.digest.digest()
        assert peak(hub.process.pid) - before < 40 << 20


def test_who_leaves_during_a_download_does_no_harm(files: Files) -> None:
    files.put("f", LARGE)
    host = urllib.parse.urlsplit(files.hub.url).netloc
    for _ in range(5):
        with raw(files.hub) as opened:
            opened.sendall(f"GET {TREE}/{files.root}/f HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            opened.recv(1000)
    assert files.get("f") == LARGE
    assert "Traceback" not in files.hub.said()
