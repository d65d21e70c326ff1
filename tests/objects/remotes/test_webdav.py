"""A WebDAV server keeps the promises of every remote; WsgiDAV is the server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.objects.remotes import RemoteSettings, open_remote
from tests.kinds import check_remote
from tests.objects.remotes import servers, websites


class Running:
    """A server and the folder that it serves."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host, self.folder = host, folder

    def settings(self, place: str, **options: str) -> RemoteSettings:
        login = {"user": "ada", "password": "pa55word"}
        return RemoteSettings(
            name="st", url=f"webdav://{self.host}/dav/{place}", options=login | options
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("dav")
    with servers.webdav(folder) as host:
        yield Running(host, folder)


def ignore(_count: int) -> None:
    pass


@pytest.mark.parametrize("check", check_remote.CHECKS, ids=lambda check: check.__name__)
def test_a_webdav_folder_keeps_the_contract_of_remotes(check, server: Running, tmp_path: Path):
    check(lambda: open_remote(server.settings(f"{tmp_path.name}/deep")), tmp_path)


def test_it_hands_out_no_damaged_file(server: Running, tmp_path: Path):
    check_remote.check_a_damaged_file_is_not_downloaded_and_is_named(
        lambda: open_remote(server.settings(tmp_path.name)),
        tmp_path,
        lambda key: (server.folder / tmp_path.name / key).write_bytes(b"damaged"),
    )


def test_files_can_be_asked_for_read_and_removed(server: Running, tmp_path: Path):
    remote = open_remote(server.settings(tmp_path.name))
    one = check_remote.item(tmp_path / "a", os.urandom(3_000_000))
    remote.upload([one], advance=ignore)
    entry = remote.stat(one.key)
    assert entry is not None
    assert (entry.key, entry.size) == (one.key, 3_000_000)
    assert list(remote.entries("files")) == [entry]
    assert remote.stat("nothing") is None
    assert remote.get_file(one.key, Path(os.devnull)) == (one.oid, 3_000_000)
    with pytest.raises(NotFound, match="not on the remote"):
        remote.get_file("nothing", tmp_path / "x")
    remote.remove([one.key, "nothing"])
    assert remote.find([one.key]) == set()


def test_a_damaged_large_file_leaves_nothing_there(server: Running, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", os.urandom(5_000_000))
    with one.path.open("r+b") as file:
        file.write(b"damaged")
    remote = open_remote(server.settings(tmp_path.name))
    assert [d.item for d in remote.upload([one], advance=ignore)] == [one]
    assert list(remote.list_("")) == []


def test_wrong_credentials_are_said_so_without_them(server: Running):
    with pytest.raises(Error, match="the credentials are wrong") as caught:
        open_remote(server.settings("x", password="guess-it")).find(["a"])
    assert "guess-it" not in str(caught.value)


def test_a_token_and_the_output_of_a_command_are_sent(tmp_path: Path):
    with websites.web(tmp_path / "w") as web:
        url = web.url.replace("http", "webdav", 1)
        for options in ({"token": "t0k"}, {"bearer_token_command": "echo t0k"}):
            remote = open_remote(RemoteSettings(name="st", url=url, options=options))
            assert remote.find(["a"]) == set()
            assert web.headers[-1]["Authorization"] == "Bearer t0k"


def test_a_server_without_webdav_is_said_so(tmp_path: Path):
    with websites.web(tmp_path / "w") as web:
        web.faults.append(websites.answer(207, "hello"))
        url = web.url.replace("http", "webdav", 1)
        with pytest.raises(Error, match="no WebDAV server"):
            list(open_remote(RemoteSettings(name="st", url=url)).list_(""))
        web.faults[:] = [websites.answer(207, "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")]
        with pytest.raises(Error, match="no plain XML"):
            list(open_remote(RemoteSettings(name="st", url=url)).list_(""))
