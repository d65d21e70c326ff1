"""`get`, `get-url`, `list`, `list-url`, `du`: with and without a project around."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.workflows import browsing
from tests import make
from tests.objects.remotes import websites
from tests.workflows import others


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return others.repository(tmp_path / "other", store=tmp_path / "store")


@pytest.fixture
def outside(tmp_path: Path, other: Path) -> Path:
    """A folder that belongs to no project."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def test_data_and_code_are_gotten_outside_of_a_project_and_nothing_else_is_left(outside):
    make.done(outside, "get", "../other", "d")
    make.done(outside, "get", "../other", "code", "-o", "kept/code", "--rev", "v1")
    make.done(outside, "get", "../other", "s.csv", "--rev", "v1")
    make.done(outside, "get", "../other", "run.sh", "-o", "kept")
    found = {str(p.relative_to(outside)) for p in outside.rglob("*") if p.is_file()}
    assert found == {
        "d/a", "d/sub/b", "kept/code/data/q", "kept/code/x.py", "kept/code/deep/y.txt",
        "kept/code/.gitignore", "s.csv", "kept/run.sh",
    }  # fmt: skip
    assert (outside / "s.csv").read_text() == "x,y\n1,2\n"
    assert os.access(outside / "kept" / "run.sh", os.X_OK)
    assert stat.S_IMODE((outside / "d" / "a").stat().st_mode) & 0o600 == 0o600


def test_a_clone_that_is_needed_outside_of_a_project_is_gone_afterwards(outside, other):
    make.done(outside, "get", other.as_uri(), "s.csv")
    assert (outside / "s.csv").read_text() == "x,y\n3,4\n"
    assert [p.name for p in outside.iterdir()] == ["s.csv"]


def test_files_with_the_same_bytes_all_arrive(outside, tmp_path):
    plain = make.write(make.repository(tmp_path / "plain"), {f"d/{n}": "same" for n in range(3)})
    make.commit(plain)
    make.done(outside, "get", "../plain", "d")
    assert [p.read_text() for p in (outside / "d").iterdir()] == ["same"] * 3


def test_what_is_there_is_not_overwritten_without_force(outside):
    make.write(outside, {"s.csv": "mine", "d/mine": "mine", "d/a": "mine"})
    for name in ("s.csv", "d"):
        shown = make.assay(outside, "get", "../other", name)
        assert shown.code == 1
        assert "there is something here already" in shown.err
        make.done(outside, "get", "../other", name, "--force")
    assert (outside / "s.csv").read_text() == "x,y\n3,4\n"
    assert (outside / "d" / "a").read_text() == "1\n"
    assert (outside / "d" / "mine").read_text() == "mine"


REFUSED = [
    (["nope"], "the repository has no 'nope'"),
    (["../x"], "leads out of the repository"),
    (["d", "--rev", "nope"], "the repository has no revision 'nope'"),
    (["run.sh", "--show-url"], "is not tracked as data"),
    (["d/nope"], "the repository has no 'd/nope'"),
    (["s.csv/inner"], "the repository has no 's.csv/inner'"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_cannot_be_gotten_is_named_and_nothing_is_left(outside, arguments, words):
    shown = make.assay(outside, "get", "../other", *arguments)
    assert shown.code == 255
    assert words in shown.err
    assert not list(outside.iterdir())


def test_a_part_that_is_missing_leaves_nothing(outside, other, tmp_path):
    for store in (other / ".dvc" / "cache", tmp_path / "store"):
        (store / "files/md5/2f/c57d6f63a9ee7e2f21a26fa522e3b6").unlink()
    shown = make.assay(outside, "get", "../other", "d")
    assert shown.code == 255
    assert "1 object neither in its cache nor on its remote" in shown.err
    assert not list(outside.iterdir())


def test_the_address_of_data_is_that_on_the_remote_or_in_the_cache(outside, other, tmp_path):
    key = "files/md5/b0/26324c6904b2a9cb4b88d6d61c81d1"
    shown = make.done(outside, "get", "../other", "d/a", "--show-url")
    assert shown == f"{tmp_path / 'store' / key}\n"
    (other / ".dvc" / "config").write_text("")
    shown = make.done(outside, "get", "../other", "d/a", "--show-url")
    assert shown == f"{other / '.dvc' / 'cache' / key}\n"


def test_another_remote_can_be_named_by_its_options_or_a_file(outside, other, tmp_path):
    shutil.rmtree(other / ".dvc" / "cache")
    shutil.move(tmp_path / "store", tmp_path / "moved")
    assert make.assay(outside, "get", "../other", "s.csv").code == 255
    url = f"url={tmp_path / 'moved'}"
    make.done(outside, "get", "../other", "s.csv", "--remote-config", url)
    config = f"['remote \"x\"']\n    url = {tmp_path / 'moved'}\n[core]\n    remote = x\n"
    make.write(outside, {"settings": config})
    make.done(outside, "get", "../other", "d", "--config", "settings")
    make.done(outside, "get", "../other", "d", "-o", "again", "--remote", "y",
              "--remote-config", url)  # fmt: skip
    assert (outside / "again" / "a").read_text() == "1\n"


def test_paths_and_servers_are_gotten(outside, other):
    make.done(outside, "get-url", "../other/d", "copy")
    assert (outside / "copy" / "sub" / "b").read_text() == "22\n"
    with others.served(other) as url:
        make.done(outside, "get-url", f"{url}/s.csv")
    assert (outside / "s.csv").read_text() == "x,y\n3,4\n"
    shown = make.assay(outside, "get-url", "../nope")
    assert shown.code == 255
    assert "there is nothing at this address" in shown.err


def test_a_listing_outside_of_a_project_leaves_nothing(outside, other):
    assert "d/sub/b" in make.done(outside, "list", "../other", "-R").splitlines()
    assert "d/a" in make.done(
        outside, "list", other.as_uri(), "-R", "--remote-config", f"url={other.parent / 'store'}"
    )
    assert not list(outside.iterdir())


def test_a_folder_whose_list_of_files_is_gone_is_listed_and_only_then_an_error_when_opened(
    outside, other, tmp_path
):
    shutil.rmtree(other / ".dvc" / "cache")
    shutil.rmtree(tmp_path / "store")
    shutil.rmtree(other / "d")
    assert "d" in make.done(outside, "list", "../other").splitlines()
    assert make.done(outside, "du", "../other", "d", "-s") == "5  d\n"
    shown = make.assay(outside, "list", "../other", "-R")
    assert shown.code == 255
    assert "1 object neither in its cache nor on its remote" in shown.err


def test_ignored_files_and_tools_are_not_listed(outside, other):
    make.write(other, {".dvcignore": "junk\n", "junk/x": "x", "untracked": "u"})
    names = make.done(outside, "list", "../other").splitlines()
    assert "untracked" in names
    assert not {"junk", ".git", ".dvc"} & {*names}


def test_a_tree_is_one_form_and_json_another(outside):
    for command in (["list", "../other"], ["list-url", "../other"]):
        shown = make.assay(outside, *command, "-T", "--json")
        assert shown.code == 2
        assert "choose one" in shown.err


def test_an_address_is_listed(outside):
    assert make.done(outside, "list-url", "../other/d", "-R", "--size") == "2  a\n3  sub/b\n"
    assert make.done(outside, "ls-url", "../other/d", "-T") == (
        "../other/d\n├── a\n└── sub\n    └── b\n"
    )
    rows = json.loads(make.done(outside, "list-url", "../other/d", "--json"))
    assert rows == [
        {"path": "a", "isdir": False, "size": 2},
        {"path": "sub", "isdir": True, "size": None},
    ]
    assert make.assay(outside, "list-url", "nope").code == 255


@pytest.mark.parametrize("size", [0, 9, 999, 1023, 1024, 10_230, 102_348, 1_022_976, 5 << 30])
def test_sizes_have_three_digits(size):
    text = browsing.natural(size)
    assert sum(c.isdigit() for c in text) <= 4
    assert size < 1024 or len(text.rstrip("kMG")) <= 4


def until(true: Callable[[], object]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError


def test_what_a_killed_get_left_goes_with_the_next_one_and_a_living_one_is_not_disturbed(
    outside, tmp_path
):
    go_on, begun = threading.Event(), []

    def slow(handler) -> bool:
        if handler.command == "GET" and handler.path.endswith("slow"):
            begun.append(handler.path)
            go_on.wait(60)
        return False

    with websites.web(tmp_path / "web") as web:
        make.write(web.folder, {"store/slow": "s\n", "store/quick": "q\n"})
        web.faults.append(slow)
        killed, living = (
            subprocess.Popen(make.command("get-url", f"{web.url}/slow", name), cwd=outside)
            for name in ("killed", "living")
        )
        until(lambda: len(begun) == 2)
        killed.kill()
        killed.wait()
        assert len(list(outside.glob(".assay-get-*"))) == 2
        make.done(outside, "get-url", f"{web.url}/quick")
        assert len(list(outside.glob(".assay-get-*"))) == 1
        go_on.set()
        assert living.wait(60) == 0
    assert sorted(p.name for p in outside.iterdir()) == ["living", "quick"]
    assert (outside / "living").read_text() == "s\n"


def test_a_work_tree_by_file_address_has_its_remotes_as_seen_from_there(outside, other, tmp_path):
    make.done(other, "remote", "modify", "st", "url", "../store")
    make.commit(other)
    shutil.rmtree(other / ".dvc" / "cache")
    (other / "code" / "x.py").write_text("not committed\n")
    url = f"file://{other}"
    make.done(outside, "get", url, "s.csv")
    make.done(outside, "get", url, "s.csv", "-o", "before.csv", "--rev", "v1")
    make.done(outside, "get", url, "code/x.py")
    assert (outside / "s.csv").read_text() == "x,y\n3,4\n"
    assert (outside / "before.csv").read_text() == "x,y\n1,2\n"
    assert (outside / "x.py").read_text() == "x = 1\n"  # what is committed, as of any address
    mine = make.project(tmp_path / "mine")
    make.done(mine, "import", url, "s.csv")
    assert f" {url}\n" in (mine / "s.csv.dvc").read_text()
    assert make.done(mine, "status") == "Data and pipelines are up to date.\n"
    assert make.assay(mine, "update", "s.csv.dvc").code == 0
