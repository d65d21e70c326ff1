"""A folder as a remote keeps the promises of every remote, and a few of its own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.objects.remotes import RemoteSettings, open_remote
from tests.kinds import check_remote


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


@pytest.mark.parametrize("check", check_remote.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_keeps_the_contract_of_remotes(check, scheme: str, store: Path, tmp_path: Path):
    settings = RemoteSettings(name="st", url=f"{scheme}{store}")
    check(lambda: open_remote(settings), tmp_path)


def test_a_folder_hands_out_no_damaged_file(store: Path, tmp_path: Path):
    def damage(key: str) -> None:
        (store / key).chmod(0o644)
        (store / key).write_bytes(b"damaged")

    settings = RemoteSettings(name="st", url=str(store))
    check_remote.check_a_damaged_file_is_not_downloaded_and_is_named(
        lambda: open_remote(settings), tmp_path, damage
    )


def test_its_files_are_read_only_as_dvcs_are(store: Path, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    open_remote(RemoteSettings(name="st", url=str(store))).upload([one], advance=lambda _: None)
    assert stat.S_IMODE((store / one.key).stat().st_mode) == 0o444


def test_a_folder_of_the_group_can_be_written_to_by_the_group(store: Path, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    settings = RemoteSettings(name="st", url=str(store), options={"shared": "group"})
    open_remote(settings).upload([one], advance=lambda _: None)
    for folder in (store, store / "files", (store / one.key).parent):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o2775 == 0o2775
    with pytest.raises(Error, match="'shared' is 'all'"):
        open_remote(RemoteSettings(name="st", url=str(store), options={"shared": "all"}))


def test_files_can_be_asked_for_read_and_removed(store: Path, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    remote = open_remote(RemoteSettings(name="st", url=str(store)))
    remote.upload([one], advance=lambda _: None)
    assert [entry.size for entry in remote.entries("files/md5")] == [3]
    assert remote.stat("nothing") is None
    assert remote.get_file(one.key, Path("/dev/null")) == (one.oid, 3)
    with pytest.raises(NotFound, match="not on the remote"):
        remote.get_file("nothing", tmp_path / "x")
    remote.remove([one.key, "nothing"])
    assert remote.find([one.key]) == set()


def test_a_file_is_no_remote(tmp_path: Path):
    (tmp_path / "store").write_text("")
    with pytest.raises(Error, match="is a file, not a folder") as caught:
        open_remote(RemoteSettings(name="st", url=str(tmp_path / "store")))
    assert caught.value.where == str(tmp_path / "store")
    assert "'st'" in (caught.value.hint or "")


def test_a_scheme_that_nobody_knows_is_named(tmp_path: Path):
    with pytest.raises(NotFound, match="no kind of remote is called 'nope'") as caught:
        open_remote(RemoteSettings(name="st", url="nope://bucket"))
    assert caught.value.where == "remote 'st'"


def test_our_own_entry_point_names_the_class_of_the_table():
    """What a third party's package declares is found the same way."""
    from importlib.metadata import entry_points

    from assay.objects.remotes.local import LocalRemote

    (point,) = entry_points(group="assay.remotes", name="local")
    assert point.load() is LocalRemote
