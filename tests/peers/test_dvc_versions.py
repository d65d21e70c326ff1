"""A bucket that keeps versions: real DVC and ours write the same records and read each other's."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests import make, stages
from tests.objects.remotes import servers
from tests.stages import dvc
from tests.workflows.test_versioned import ENABLED, PIPELINE, there

ON_CI = os.environ.get("CI") == "true"
HAS_S3 = any((stages.DVC.parents[1] / "lib").glob("python*/site-packages/dvc_s3"))

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not HAS_S3 and not ON_CI, reason="real DVC with S3 is not in .peers/dvc: 'make test' does"
    ),
]
FILES = {"a.txt": "hello\n", "d/x": "x\n", "d/sub/y": "y\n"}


@pytest.fixture
def two(moto: str, tmp_path: Path) -> tuple[Path, Path]:
    """Two projects that are alike, each with a bucket of its own."""
    projects = []
    for name in ("ours", "theirs"):
        bucket = f"{name}{abs(hash(str(tmp_path))) % 10**10}"
        servers.ask("PUT", f"{moto}/{bucket}")
        servers.ask("PUT", f"{moto}/{bucket}?versioning", ENABLED)
        root = make.write(make.project(tmp_path / name), FILES | {"dvc.yaml": PIPELINE})
        make.done(root, "remote", "add", "-d", "cloud", f"s3://{bucket}/top")
        options = {**servers.KEYS, "endpointurl": moto, "version_aware": "true"}
        for key, value in options.items():
            make.done(root, "remote", "modify", "cloud", key, value)
        make.done(root, "add", "--no-profile", "a.txt", "d")
        make.done(root, "repro")
        shutil.rmtree(root / ".assay")
        projects.append(root)
    return projects[0], projects[1]


def records(root: Path) -> dict[str, str]:
    """Return the records of a project, without the ids that a bucket draws."""
    paths = [*root.glob("*?.dvc"), root / "dvc.lock"]
    found = {path.name: path.read_text() for path in paths if path.exists()}
    return {name: re.sub(r"(version_id: )[\w-]+", r"\1ID", text) for name, text in found.items()}


def emptied(root: Path) -> Path:
    shutil.rmtree(root / ".dvc" / "cache")
    for name in ("d", "o"):
        shutil.rmtree(root / name)
    for name in ("a.txt", "two"):
        (root / name).unlink()
    return root


def test_the_records_of_a_push_are_the_same_to_the_byte_but_for_the_ids(two):
    ours, theirs = two
    make.done(ours, "push")
    dvc(theirs, "push")
    assert records(ours) == records(theirs)
    for root, run in ((ours, make.done), (theirs, dvc)):
        make.write(root, {"a.txt": "bye\n", "d/x": "xx\n"})
        run(root, "add", "a.txt", "d")
        run(root, "push")
    assert records(ours) == records(theirs)


def test_what_we_pushed_dvc_pulls_and_has_nothing_to_push(two):
    ours, _ = two
    make.done(ours, "push")
    before = records(ours)
    dvc(emptied(ours), "pull")
    assert (ours / "d" / "sub" / "y").read_text() == "y\n"
    assert (ours / "o" / "one").read_text() == "hello\n"
    assert "up to date" in dvc(ours, "status")
    assert "up to date" in dvc(ours, "push")
    assert records(ours) == before


def test_what_dvc_pushed_we_pull_and_have_nothing_to_push(two, moto):
    _, theirs = two
    dvc(theirs, "push")
    before = {p.name: p.read_bytes() for p in theirs.glob("*?.dvc")}
    make.done(emptied(theirs), "pull")
    assert (theirs / "d" / "sub" / "y").read_text() == "y\n"
    assert (theirs / "o" / "one").read_text() == "hello\n"
    assert "up to date" in make.done(theirs, "status")
    assert make.done(theirs, "push") == "Everything is up to date.\n"
    assert {p.name: p.read_bytes() for p in theirs.glob("*?.dvc")} == before
    make.write(theirs, {"d/new": "new\n"})
    make.done(theirs, "add", "--no-profile", "d")
    assert make.done(theirs, "push") == "1 file pushed\n"
    dvc(emptied(theirs), "pull")
    assert (theirs / "d" / "new").read_text() == "new\n"


def test_neither_removes_what_is_not_tracked_any_more(two, moto):
    """Not even where the remote says 'worktree': so does DVC 3.67.1, whatever its manual says."""
    for root, run in zip(two, (make.done, dvc), strict=True):
        make.done(root, "remote", "modify", "cloud", "worktree", "true")
        run(root, "push")
        (root / "d" / "sub" / "y").unlink()
        run(root, "add", "d")
        run(root, "push")
        url = make.done(root, "remote", "list").split()[1]
        assert "top/d/sub/y" in there(f"{moto}/{url.split('/')[2]}")


IMPORTS = [
    ["f"],
    ["dir"],
    ["f", "f2", "--no-download"],
    ["dir", "d2", "--no-download"],
    ["dir", "d3", "--no-exec"],
]


def test_imports_of_versions_are_recorded_updated_and_pulled_alike(two, moto, tmp_path):
    ours, theirs = two
    bucket = f"{moto}/source{abs(hash(str(tmp_path))) % 10**10}"
    servers.ask("PUT", bucket)
    servers.ask("PUT", f"{bucket}?versioning", ENABLED)
    for name in ("f", "dir/p", "dir/q/r"):
        servers.ask("PUT", f"{bucket}/in/{name}", name.encode())
    for root in two:
        make.done(root, "remote", "add", "source", f"s3://{bucket.rpartition('/')[2]}/in")
        for key, value in {**servers.KEYS, "endpointurl": moto}.items():
            make.done(root, "remote", "modify", "source", key, value)
    for name, *rest in IMPORTS:
        for root, run in zip(two, (make.done, dvc), strict=True):
            run(root, "import-url", f"remote://source/{name}", *rest, "--version-aware")
    assert raw(ours) == raw(theirs)
    assert "skipping" in make.done(theirs, "update", "f.dvc", "dir.dvc")
    assert "skipping" in dvc(ours, "update", "f.dvc", "dir.dvc")
    for name in ("f", "dir/p"):
        servers.ask("PUT", f"{bucket}/in/{name}", b"other\n")
    for root in two:
        shutil.rmtree(root / "dir")
        (root / "f").unlink()
        shutil.rmtree(root / ".dvc" / "cache")
    make.done(ours, "pull", "f", "dir")
    assert [(ours / name).read_text() for name in ("f", "dir/p")] == ["f", "dir/p"]
    for root, run in zip(two, (make.done, dvc), strict=True):
        run(root, "update", "f.dvc", "dir.dvc")
        assert (root / "dir" / "p").read_text() == "other\n"
    assert raw(ours) == raw(theirs)


def raw(root: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in root.glob("*?.dvc")}


def test_a_folder_of_a_plain_bucket_is_recorded_and_updated_alike(two, moto):
    ours, theirs = two
    bucket = f"{moto}/plain{abs(hash(str(ours))) % 10**10}"
    servers.ask("PUT", bucket)
    for name in ("dir/p", "dir/q/r", "f"):
        servers.ask("PUT", f"{bucket}/{name}", name.encode())
    for root, run in zip(two, (make.done, dvc), strict=True):
        make.done(root, "remote", "add", "plain", f"s3://{bucket.rpartition('/')[2]}")
        for key, value in {**servers.KEYS, "endpointurl": moto}.items():
            make.done(root, "remote", "modify", "plain", key, value)
        run(root, "import-url", "remote://plain/dir")
        run(root, "import-url", "remote://plain/f")
    assert raw(ours) == raw(theirs)
    assert make.done(theirs, "update", "dir.dvc", "f.dvc").count("skipping") == 2
    assert dvc(ours, "update", "dir.dvc", "f.dvc").count("skipping") == 2
