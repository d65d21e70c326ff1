"""A size limit or a missing permission stops a command, and leaves nothing half."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.objects.cache import Cache
from tests import make


def _limit(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _without_root() -> None:
    """Let root obey permissions: drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0


def leftovers(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.name.startswith("tmp.") or p.suffix == ".tmp"]


@pytest.mark.parametrize(
    ("what", "n_bytes", "limit", "where"),
    [
        ("object", 1_500_000, 1_000_000, "cache"),
        ("record", 10, 40, "big.dvc"),
        ("ignore file", 10, 150, ".gitignore"),
    ],
)
def test_a_file_size_limit_stops_an_add_and_leaves_nothing_half(
    project: Path, what: str, n_bytes: int, limit: int, where: str
):
    make.write(project, {"big": os.urandom(n_bytes), ".gitignore": "# why\n" * 30})
    before = make.state(project)
    shown = make.process(project, "add", "big", preexec_fn=_limit(limit))
    assert (shown.code, shown.out) == (255, "")
    assert "file too large" in shown.err
    assert "ulimit -f" in shown.err
    assert where in shown.err, what
    assert make.state(project) == before
    assert all(make.cache(project).verify(oid) for oid in make.cache(project))
    assert leftovers(project) == []
    make.done(project, "add", "big")
    assert make.done(project, "checkout") == ""


@pytest.mark.parametrize("command", ["push", "checkout", "pull"])
def test_a_file_size_limit_stops_a_transfer_and_leaves_nothing_half(
    project: Path, tmp_path: Path, command: str
):
    make.write(project, {"d/big": os.urandom(1_500_000), "d/small": "1"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "d")
    if command == "pull":
        make.done(project, "push")
        shutil.rmtree(project / ".dvc" / "cache")
    if command != "push":
        shutil.rmtree(project / "d")
    before = make.state(project)
    shown = make.process(project, command, preexec_fn=_limit(1_000_000))
    assert (shown.code, shown.out) == (255, "")
    assert "file too large" in shown.err
    assert "ulimit -f" in shown.err
    assert make.state(project) == before
    for store in (make.cache(project), Cache(tmp_path / "store" / "files" / "md5")):
        assert all(store.verify(oid) for oid in store)
        assert leftovers(store.folder) == []
    make.done(project, command)


def test_a_read_only_folder_is_named(project: Path):
    make.write(project, {"s/a.txt": "1"})
    (project / "s").chmod(0o555)
    before = make.state(project)
    shown = make.process(project, "add", "s/a.txt", preexec_fn=_without_root)
    assert shown.code == 255
    assert "s/a.txt.dvc: permission denied" in shown.err
    assert "hint: check the permissions" in shown.err
    assert make.state(project) == before
    (project / "s").chmod(0o755)
    make.done(project, "add", "s/a.txt")


@pytest.mark.parametrize("command", ["checkout", "pull", "move", "remove"])
def test_a_read_only_folder_is_named_by_what_would_write_there(
    project: Path, tmp_path: Path, command: str
):
    make.write(project, {"s/a.txt": "1", "s/d/x": "2"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "s/a.txt", "s/d")
    make.done(project, "push")
    if command in {"checkout", "pull"}:
        (project / "s" / "a.txt").unlink()
    targets = {"move": ("s/a.txt", "b.txt"), "remove": ("s/a.txt.dvc",)}.get(command, ())
    (project / "s").chmod(0o555)
    before = make.state(project)
    shown = make.process(project, command, *targets, preexec_fn=_without_root)
    assert (shown.code, shown.out) == (255, "")
    assert "permission denied" in shown.err
    assert "/s" in shown.err or "s/" in shown.err
    assert "hint: check the permissions" in shown.err
    assert make.state(project) == before
    (project / "s").chmod(0o755)
    make.done(project, command, *targets)


def test_a_file_that_may_not_be_read_is_named(project: Path):
    make.write(project, {"a.txt": "1", "d/b": "2"})
    for name in ("a.txt", "d/b"):
        (project / name).chmod(0)
        before = {p: v for p, v in make.state(project).items() if p != name}
        shown = make.process(project, "add", name.split("/")[0], preexec_fn=_without_root)
        assert shown.code == 255
        assert f"{name}: permission denied" in shown.err
        (project / name).chmod(0o644)
        assert {p: v for p, v in make.state(project).items() if p != name} == before


def test_a_read_only_cache_and_remote_are_named(project: Path, tmp_path: Path):
    make.write(project, {"a.txt": "1", "b.txt": "2"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "a.txt")
    (tmp_path / "store").mkdir(mode=0o555)
    shown = make.process(project, "push", preexec_fn=_without_root)
    assert (shown.code, "store: permission denied" in shown.err) == (255, True)
    make.cache(project).folder.chmod(0o555)
    before = make.state(project)
    shown = make.process(project, "add", "b.txt", preexec_fn=_without_root)
    make.cache(project).folder.chmod(0o755)
    assert (shown.code, "files/md5: permission denied" in shown.err) == (255, True)
    assert make.state(project) == before


def test_reading_needs_no_right_to_write(project: Path):
    """Status and diff of a project on a read-only disk."""
    make.write(project, {"d/a": "1"})
    make.done(project, "add", "d")
    make.commit(project)
    folders = [project, *(p for p in project.rglob("*") if p.is_dir() and not p.is_symlink())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        for arguments in (("data", "status"), ("diff",), ("config", "--list")):
            shown = make.process(project, *arguments, preexec_fn=_without_root)
            assert shown.code == 0, shown
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.mark.parametrize("n_files", [1, 600])
def test_what_may_not_be_read_on_a_remote_is_not_called_lost(
    project: Path, tmp_path: Path, n_files: int
):
    make.write(project, {f"d/{n}": str(n) for n in range(n_files)})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "d")
    make.done(project, "push")
    shutil.rmtree(project / ".dvc" / "cache")
    for shard in (tmp_path / "store" / "files" / "md5").iterdir():
        shard.chmod(0)
    for command in (("pull",), ("fetch",), ("status", "-c")):
        shown = make.process(project, *command, preexec_fn=_without_root)
        assert (shown.code, shown.out) == (255, ""), command
        assert "store/files/md5/" in shown.err
        assert "permission denied" in shown.err
        assert "hint: check the permissions" in shown.err
    for shard in (tmp_path / "store" / "files" / "md5").iterdir():
        shard.chmod(0o755)
    make.done(project, "pull")
