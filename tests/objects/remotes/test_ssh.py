"""A folder behind SSH keeps the promises of every remote; an `asyncssh` server serves it."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.objects.remotes import RemoteSettings, open_remote
from tests.kinds import check_remote
from tests.objects.remotes import servers


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder with the known hosts in it."""
    folder = tmp_path_factory.mktemp("ssh-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        yield folder


@pytest.fixture(scope="module")
def full() -> list[bool]:
    return [False]


@pytest.fixture(scope="module")
def server(home: Path, full: list[bool]) -> Iterator[servers.SFTP]:
    with servers.sftp(home / "server", home / "files", full=lambda: full[0]) as running:
        (home / ".ssh").mkdir()
        shutil.copy(running.known_hosts, home / ".ssh" / "known_hosts")
        yield running
    gc.collect()


def settings(server: servers.SFTP, folder: str, **options: str) -> RemoteSettings:
    login = {"user": "ada", "keyfile": str(server.key)}
    return RemoteSettings(
        name="st",
        url=f"ssh://127.0.0.1:{options.pop('port', server.port)}/{folder}",
        options=login | options,
    )


def ignore(_count: int) -> None:
    pass


@pytest.mark.parametrize("check", check_remote.CHECKS, ids=lambda check: check.__name__)
def test_a_folder_behind_ssh_keeps_the_contract_of_remotes(check, server, tmp_path: Path):
    remote = settings(server, tmp_path.name)
    check(lambda: open_remote(remote), tmp_path)


def test_it_hands_out_no_damaged_file(server: servers.SFTP, tmp_path: Path):
    check_remote.check_a_damaged_file_is_not_downloaded_and_is_named(
        lambda: open_remote(settings(server, tmp_path.name)),
        tmp_path,
        lambda key: (server.folder / tmp_path.name / key).write_bytes(b"damaged"),
    )


def test_files_can_be_asked_for_read_and_removed(server: servers.SFTP, tmp_path: Path):
    remote = open_remote(settings(server, tmp_path.name))
    one = check_remote.item(tmp_path / "a", os.urandom(9_000_000))
    remote.upload([one], advance=ignore)
    entry = remote.stat(one.key)
    assert entry is not None
    assert (entry.key, entry.size) == (one.key, 9_000_000)
    assert list(remote.entries("files")) == [entry]
    assert remote.stat("nothing") is None
    assert remote.get_file(one.key, Path(os.devnull)) == (one.oid, 9_000_000)
    with pytest.raises(NotFound, match="not on the remote"):
        remote.get_file("nothing", tmp_path / "x")
    remote.remove([one.key, "nothing"])
    assert remote.find([one.key]) == set()


def test_a_file_that_is_on_its_way_is_not_listed(server: servers.SFTP, tmp_path: Path):
    place = server.folder / tmp_path.name / "files" / "md5" / "ab"
    place.mkdir(parents=True)
    (place / ".4dd1e0.tmp").write_bytes(b"half")
    assert list(open_remote(settings(server, tmp_path.name)).list_("")) == []


def test_a_damaged_large_file_leaves_nothing_there(server: servers.SFTP, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", os.urandom(5_000_000))
    with one.path.open("r+b") as file:
        file.write(b"damaged")
    remote = open_remote(settings(server, tmp_path.name))
    assert [d.item for d in remote.upload([one], advance=ignore)] == [one]
    assert [p for p in (server.folder / tmp_path.name).rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("upload", [False, True])
def test_a_connection_that_breaks_off_is_taken_up_again(
    upload: bool, server: servers.SFTP, home: Path, tmp_path: Path
):
    items = [check_remote.item(tmp_path / "a", os.urandom(1_000_000)) for _ in range(4)]
    there = [check_remote.elsewhere(one, tmp_path / "b") for one in items]
    with servers.breaking_proxy(server.port) as (port, plan):
        known = home / ".ssh" / "known_hosts"
        known.write_text(
            known.read_text() + server.known_hosts.read_text().replace(str(server.port), str(port))
        )
        remote = open_remote(settings(server, tmp_path.name, port=str(port)))
        plan.upload = upload
        if upload:
            plan.cuts = [1_500_000, 700_000]
        assert remote.upload(items, advance=ignore) == []
        if not upload:
            plan.cuts = [1_500_000, 700_000]
        assert remote.download(there, advance=ignore) == []
        assert plan.cuts == []
        assert plan.connections == 3
    assert [one.path.read_bytes() for one in there] == [one.path.read_bytes() for one in items]


def test_a_password_lets_in(server: servers.SFTP, tmp_path: Path):
    options = {"keyfile": "", "password": "pa55word", "allow_agent": "false"}
    assert open_remote(settings(server, tmp_path.name, **options)).find(["a"]) == set()


def test_a_key_with_a_passphrase_lets_in(server: servers.SFTP, tmp_path: Path):
    options = {"keyfile": str(server.locked_key), "passphrase": "open sesame"}
    assert open_remote(settings(server, tmp_path.name, **options)).find(["a"]) == set()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keyfile": "", "password": "guess-it"}, "does not let us in"),
        ({"keyfile": "locked", "passphrase": "guess-it"}, "the key cannot be read"),
        ({"keyfile": "locked"}, "the key cannot be read"),
        ({"keyfile": "/no/such/key"}, "'keyfile' names no file"),
        ({"prot": "22"}, "no option 'prot'"),
        ({"ask_password": "true"}, "there is nobody to ask"),
        ({"gss_auth": "true"}, "'gss_auth' needs a package"),
    ],
)
def test_who_does_not_come_in_is_told_why(options, said, server: servers.SFTP, tmp_path: Path):
    if options.get("keyfile") == "locked":
        options = {**options, "keyfile": str(server.locked_key)}
    with pytest.raises(Error, match=said) as caught:
        open_remote(settings(server, tmp_path.name, **options)).find(["a"])
    assert "guess-it" not in str(caught.value)
    assert caught.value.where == "remote 'st'"


def test_a_host_that_is_not_known_is_refused(server: servers.SFTP, home: Path, tmp_path: Path):
    known = home / ".ssh" / "known_hosts"
    before = known.read_text()
    known.write_text("")
    try:
        with pytest.raises(Error, match="not among the known hosts"):
            open_remote(settings(server, tmp_path.name)).find(["a"])
    finally:
        known.write_text(before)


def test_a_host_that_is_not_there_is_said_so(server: servers.SFTP, tmp_path: Path):
    remote = settings(server, tmp_path.name, port=str(servers.free_port()))
    with pytest.raises(Error, match=r"cannot be reached.*tried 5 times"):
        open_remote(remote).find(["a"])


def test_a_full_disk_is_said_so_and_keeps_nothing(
    server: servers.SFTP, full: list[bool], tmp_path: Path
):
    one = check_remote.item(tmp_path / "a", b"one")
    full[0] = True
    try:
        with pytest.raises(Error, match="the disk of the remote is full"):
            open_remote(settings(server, tmp_path.name)).upload([one], advance=ignore)
    finally:
        full[0] = False
    assert [p for p in (server.folder / tmp_path.name).rglob("*") if p.is_file()] == []


def test_a_folder_that_is_not_ours_is_said_so(server: servers.SFTP, tmp_path: Path):
    (server.folder / tmp_path.name).mkdir()
    (server.folder / tmp_path.name / "files").write_text("in the way")
    one = check_remote.item(tmp_path / "a", b"one")
    with pytest.raises(Error, match="the remote says"):
        open_remote(settings(server, tmp_path.name)).upload([one], advance=ignore)
