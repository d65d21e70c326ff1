"""A file system that `fsspec` knows keeps the promises of every remote."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from assay.base.errors import Error, NotFound
from assay.objects.remotes import RemoteSettings, open_remote
from tests.kinds import check_remote


@pytest.mark.parametrize("check", check_remote.CHECKS, ids=lambda check: check.__name__)
def test_a_file_system_keeps_the_contract_of_remotes(check, tmp_path: Path):
    settings = RemoteSettings(name="st", url=f"memory://{tmp_path.name}/store")
    check(lambda: open_remote(settings), tmp_path)


def test_it_hands_out_no_damaged_file(tmp_path: Path):
    settings = RemoteSettings(name="st", url=f"memory://{tmp_path.name}/store")
    memory = fsspec.filesystem("memory")
    check_remote.check_a_damaged_file_is_not_downloaded_and_is_named(
        lambda: open_remote(settings),
        tmp_path,
        lambda key: memory.pipe_file(f"/{tmp_path.name}/store/{key}", b"damaged"),
    )


def test_files_can_be_asked_for_and_removed(tmp_path: Path):
    remote = open_remote(RemoteSettings(name="st", url=f"memory://{tmp_path.name}/store"))
    one = check_remote.item(tmp_path / "a", b"one")
    remote.upload([one], advance=lambda _: None)
    entry = remote.stat(one.key)
    assert entry is not None
    assert entry.size == 3
    remote.remove([one.key, "nothing"])
    assert remote.stat(one.key) is None
    with pytest.raises(NotFound, match="not on the remote"):
        remote.get_file(one.key, tmp_path / "x")


def test_an_option_that_the_file_system_does_not_know_is_refused():
    settings = RemoteSettings(name="st", url="memory://x", options={"user": "ada"})
    with pytest.raises(Error, match="no option 'user'"):
        open_remote(settings)


def test_a_package_that_is_missing_is_named():
    with pytest.raises(Error, match="needs a package"):
        open_remote(RemoteSettings(name="st", url="hdfs://x"))
