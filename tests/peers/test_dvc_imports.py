"""Imports: real DVC and ours take the same data, beside each other and in turn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import make, stages
from tests.objects.remotes import websites
from tests.stages import dvc
from tests.workflows import others

ON_CI = os.environ.get("CI") == "true"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and not ON_CI,
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]

IMPORTS = [
    ["../other", "s.csv"],
    ["../other", "s.csv", "-o", "old.csv", "--rev", "v1"],
    ["../other", "d"],
    ["../other", "d/sub", "-o", "inner"],
    ["../other", "d/sub/b", "-o", "sub/b"],
    ["../other", "code"],
    ["../other", "run.sh"],
    ["../other", ".", "-o", "all"],
    ["../other", "m.json", "--no-exec"],
    ["../other", "s.csv", "-o", "later.csv", "--no-download"],
    ["../other", "d", "-o", "named", "--remote", "st"],
    ["../other", "d", "-o", "optioned", "--remote-config", "jobs=2"],
]
LISTINGS = [
    ["."],
    [".", "-R"],
    [".", "-T"],
    [".", "-T", "-L", "1"],
    [".", "-R", "-L", "2"],
    [".", "--dvc-only"],
    [".", "-R", "--dvc-only"],
    [".", "-R", "--size", "--show-hash"],
    [".", "--rev", "v1", "--show-hash"],
    [".", "code", "-T"],
    [".", "d"],
    [".", "d", "-R", "--size"],
    [".", "d/sub"],
    [".", "s.csv", "--size"],
]


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The other repository with a remote, and two empty projects: for us, for DVC."""
    other = others.repository(tmp_path / "other", store=tmp_path / "store")
    projects = []
    for name in ("ours", "theirs"):
        root = make.project(tmp_path / name)
        make.commit(root)
        projects.append(root)
    return other, projects[0], projects[1]


def same(ours: Path, theirs: Path) -> None:
    """Compare workspaces: all bytes, and who may run them."""
    tools = (".git", ".assay", ".dvc")
    assert make.snapshot(ours, without=tools) == make.snapshot(theirs, without=tools)


def test_the_records_and_data_of_imports_are_the_same_to_the_byte(three):
    _, ours, theirs = three
    (theirs / "sub").mkdir()  # we make it, DVC asks for it
    for arguments in IMPORTS:
        make.done(ours, "import", *arguments)
        dvc(theirs, "import", *arguments)
    same(ours, theirs)
    assert len(list(ours.rglob("*.dvc"))) == len(IMPORTS) + 1  # and the folder .dvc


def test_the_records_of_imports_from_addresses_are_the_same_to_the_byte(three, tmp_path):
    other, ours, theirs = three
    arguments = [
        ["../other/s.csv"],
        ["../other/d"],
        [str(other / "s.csv"), "absolute.csv"],
        ["../other/run.sh", "--no-exec"],
        ["../other/s.csv", "later.csv", "--no-download"],
        ["own.txt", "copy.txt"],
    ]
    make.write(ours, {"own.txt": "own"})
    make.write(theirs, {"own.txt": "own"})
    for one in arguments:
        make.done(ours, "import-url", *one)
        dvc(theirs, "import-url", *one)
        same(ours, theirs)


@pytest.mark.parametrize(
    "headers", [{}, {"ETag": '"abc"'}, {"ETag": 'W/"5"'}, {"Content-MD5": "Q2hl"}], ids=str
)
def test_a_record_of_http_data_is_the_same_to_the_byte(three, tmp_path, headers):
    other, ours, theirs = three
    with others.served(other, headers) as url:
        for one in (["s.csv"], ["s.csv", "q.csv", "--no-download"], ["run.sh", "--no-exec"]):
            make.done(ours, "import-url", f"{url}/{one[0]}", *one[1:])
            dvc(theirs, "import-url", f"{url}/{one[0]}", *one[1:])
            same(ours, theirs)
        assert "skipping" in make.done(theirs, "update", "s.csv.dvc")
        assert "skipping" in dvc(ours, "update", "s.csv.dvc")


def test_a_page_that_ends_in_a_slash_is_recorded_the_same(three):
    other, ours, theirs = three
    with others.served(other) as url:
        make.done(ours, "import-url", f"{url}/code/", "page")
        dvc(theirs, "import-url", f"{url}/code/", "page")
        same(ours, theirs)


def test_the_netrc_file_opens_a_page_for_both(three, tmp_path, monkeypatch):
    _, ours, theirs = three
    make.write(tmp_path, {"netrc": "machine 127.0.0.1 login ada password pa55word\n"})
    (tmp_path / "netrc").chmod(0o600)
    with websites.web(tmp_path / "web") as web:
        make.write(web.folder, {"store/page": "page\n"})
        web.faults.append(websites.needs_basic("ada", "pa55word"))
        shown = subprocess.run(
            [stages.DVC, "import-url", f"{web.url}/page"], cwd=theirs, check=False
        )
        assert shown.returncode != 0
        assert make.assay(ours, "import-url", f"{web.url}/page").code == 255
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        make.done(ours, "import-url", f"{web.url}/page")
        dvc(theirs, "import-url", f"{web.url}/page")
        same(ours, theirs)


def test_a_remote_on_another_one_is_the_same_for_both(three, tmp_path):
    _, ours, theirs = three
    make.write(tmp_path / "files", {"dir/a": "1\n", "dir/.b": "2\n"})
    for root in (ours, theirs):
        make.done(root, "remote", "add", "lab", str(tmp_path / "files"))
        make.done(root, "remote", "add", "inner", "remote://lab/dir")
    make.done(ours, "import-url", "remote://inner/a")
    make.done(ours, "import-url", "remote://lab/dir")
    make.done(ours, "import-url", "remote://inner", "again")
    dvc(theirs, "import-url", "remote://inner/a")
    dvc(theirs, "import-url", "remote://lab/dir")
    dvc(theirs, "import-url", "remote://inner", "again")
    same(ours, theirs)
    assert dvc(theirs, "remote", "list").split() == make.done(ours, "remote", "list").split()
    listed = dvc(theirs, "list-url", "remote://inner").split()
    assert sorted(listed) == make.done(ours, "list-url", "remote://inner").split()


def test_what_one_imports_the_other_updates(three):
    other, ours, theirs = three
    for arguments in (["s.csv"], ["d"], ["s.csv", "-o", "later.csv", "--no-download"]):
        dvc(ours, "import", "../other", *arguments)
        make.done(theirs, "import", "../other", *arguments)
    dvc(ours, "import-url", "../other/s.csv", "u.csv")
    make.done(theirs, "import-url", "../other/s.csv", "u.csv")
    for text in ("x,y\n5,6\n", "x,y\n7,8\n"):
        others.change(other, text)
        others.share(other, other.parent / "store")
        targets = ["s.csv.dvc", "d.dvc", "later.csv.dvc", "u.csv.dvc"]
        make.done(ours, "update", *targets)
        dvc(theirs, "update", *targets)
        same(ours, theirs)
        ours, theirs = theirs, ours
    assert (ours / "later.csv").read_text() == "x,y\n7,8\n"
    dvc(ours, "update", "s.csv.dvc", "--rev", "v1")
    make.done(theirs, "update", "s.csv.dvc", "--rev", "v1")
    same(ours, theirs)
    dvc(ours, "update", "s.csv.dvc", "--no-download", "--rev", "main")
    make.done(theirs, "update", "s.csv.dvc", "--no-download", "--rev", "main")
    # DVC leaves the 'md5' of what it recorded before, and its 'status' says 'changed checksum'
    rest = [(root / "s.csv.dvc").read_text().partition("\n")[2] for root in (ours, theirs)]
    assert rest[0] == rest[1]


def test_dvc_finds_our_imports_in_order_and_pulls_them_in_a_clone(three, tmp_path):
    _, ours, _ = three
    make.done(ours, "import", "../other", "s.csv")
    make.done(ours, "import", "../other", "code", "--rev", "v1")
    make.commit(ours)
    # a newer commit is there for one, the tag of the other stays
    assert json.loads(dvc(ours, "status", "--json")) == {}
    make.git(tmp_path, "clone", "-q", str(ours), "clone")
    dvc(tmp_path / "clone", "pull")
    same(ours, tmp_path / "clone")


@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_a_listing_is_the_same(three, arguments):
    other, _, _ = three
    assert make.done(other, "list", *arguments) == dvc(other, "list", *arguments)


def test_a_listing_as_json_has_the_same_rows_but_for_the_sizes_of_folders(three):
    other, _, _ = three
    for arguments in ([], ["-R"], ["d"]):
        ours = json.loads(make.done(other, "ls", "--json", ".", *arguments))
        theirs = json.loads(dvc(other, "ls", "--json", ".", *arguments))
        for row in (*ours, *theirs):
            if row["isdir"]:
                del row["size"]  # DVC says how much the folder's own entry takes on the disk
        assert ours == theirs


@pytest.mark.parametrize("arguments", [[], ["code"], ["d"], ["-s"], ["s.csv"], ["--rev", "v1"]])
def test_the_sizes_of_a_repository_are_the_same(three, arguments):
    other, _, _ = three
    ours = make.done(other, "du", ".", *arguments)
    theirs = dvc(other, "du", ".", *arguments)
    assert sorted(ours.splitlines()) == sorted(  # DVC's have no order
        line.rstrip() for line in theirs.splitlines()
    )


def test_what_is_gotten_has_the_same_bytes(three, tmp_path):
    for number, arguments in enumerate((["s.csv"], ["d"], ["code", "--rev", "v1"], ["d/sub/b"])):
        for tool, folder in ((make.done, "a"), (dvc, "b")):
            place = tmp_path / folder / str(number)
            place.mkdir(parents=True)
            tool(place, "get", "../../other", *arguments)
    contents = [
        {p: c for p, (_, c) in make.snapshot(tmp_path / name).items()} for name in ("a", "b")
    ]
    assert contents[0] == contents[1]
    show = ["get", "../other", "d/a", "--show-url"]
    assert make.done(tmp_path / "a", *show[:1], str(tmp_path / "other"), *show[2:]) == dvc(
        tmp_path / "b", *show[:1], str(tmp_path / "other"), *show[2:]
    )


def test_an_address_is_listed_as_dvc_does(three):
    other, _, _ = three
    shutil.rmtree(other / ".git")
    for arguments in (["d"], ["code", "-R"], ["code", "-R", "-L", "1"], ["code"]):
        ours = make.done(other, "list-url", *arguments)
        assert sorted(ours.splitlines()) == sorted(dvc(other, "list-url", *arguments).splitlines())
    assert make.done(other, "list-url", "code", "-T") == dvc(other, "list-url", "code", "-T")
