"""Artifacts come by name, version and stage, out of the tags of their repository."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.project import artifact_tags
from assay.project.artifact_tags import Tag, commit_of, parse, precedence
from tests import make
from tests.peers.dvc_asked import PYTHON, ask

_clock = itertools.count(1_700_000_000, 60)


def tag(folder: Path, name: str, *, commit: str = "HEAD") -> None:
    """Make an annotated tag, a minute after the one before."""
    os.environ["GIT_COMMITTER_DATE"] = f"{next(_clock)} +0000"
    try:
        make.git(folder, "tag", "-a", name, "-m", name, commit)
    finally:
        del os.environ["GIT_COMMITTER_DATE"]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A repository with a tracked model in three versions, and another in a folder."""
    folder = make.project(tmp_path / "registry")
    make.done(folder, "remote", "add", "-d", "shared", str(tmp_path / "shared"))
    declared = "artifacts:\n  churn: {path: model.bin, type: model}\n  plain: {path: note.txt}\n"
    make.write(folder, {"dvc.yaml": declared, "note.txt": "note"})
    make.write(folder, {"sub/dvc.yaml": "artifacts: {other: {path: own}}\n", "sub/own/a": "a"})
    for number in (1, 2, 3):
        make.write(folder, {"model.bin": f"model {number}"})
        make.done(folder, "add", "model.bin", "sub/own")
        make.commit(folder)
        tag(folder, f"churn@v1.{number * 5}.0")
    tag(folder, "churn#prod#1", commit="HEAD~1")
    tag(folder, "churn#dev", commit="HEAD")
    tag(folder, "plain@v0.1.0-rc.1")
    tag(folder, "sub=other@v2.0.0", commit="HEAD~2")
    make.git(folder, "tag", "churn@v9.0.0")  # a lightweight one counts for nobody
    make.write(folder, {"dvc.yaml": "artifacts: {}\n"})
    make.commit(folder)
    return folder


def got(registry: Path, here: Path, *arguments: str) -> str:
    """Get an artifact to a place of its own, and return what it holds."""
    here.mkdir(exist_ok=True)
    place = here / f"it{next(_clock)}"
    make.done(here, "artifacts", "get", str(registry), *arguments, "-o", place.name)
    return (place / "a" if place.is_dir() else place).read_text()


GOOD = (
    (("churn",), "model 3"),
    (("churn", "--rev", "v1.5.0"), "model 1"),
    (("churn", "--stage", "prod"), "model 2"),
    (("churn", "--stage", "dev"), "model 3"),
    (("dvc.yaml:churn", "--rev", "v1.10.0"), "model 2"),
    (("plain",), "note"),
    (("sub:other",), "a"),
    (("sub/dvc.yaml:other", "--rev", "v2.0.0"), "a"),
)


def test_an_artifact_comes_by_name_version_and_stage(registry, tmp_path):
    for arguments, content in GOOD:
        assert got(registry, tmp_path / "here", *arguments) == content, arguments


def test_it_comes_from_a_clone_and_through_its_remote_too(registry, tmp_path):
    make.done(registry, "push", "-T")
    url = registry.as_uri()
    assert got_by_url(url, tmp_path / "there", "churn", "--rev", "v1.10.0") == "model 2"
    shown = make.done(tmp_path, "artifacts", "get", url, "churn", "--show-url").strip()
    assert Path(shown).read_text() == "model 3"


def got_by_url(url: str, here: Path, *arguments: str) -> str:
    here.mkdir()
    make.done(here, "artifacts", "get", url, *arguments)
    return (here / "model.bin").read_text()


def test_what_was_taken_back_is_not_offered(registry, tmp_path):
    here = tmp_path / "here"
    tag(registry, "churn@v1.15.0!", commit="HEAD~1")
    tag(registry, "churn#prod#3", commit="HEAD~3")
    assert got(registry, here, "churn") == "model 2"
    assert got(registry, here, "churn", "--stage", "prod") == "model 1"
    tag(registry, "churn#prod!#4", commit="HEAD~3")
    assert got(registry, here, "churn", "--stage", "prod") == "model 2"
    tag(registry, "churn@deprecated")
    shown = make.assay(here, "artifacts", "get", str(registry), "churn")
    assert (shown.code, "no version on offer" in shown.err) == (255, True)
    assert got(registry, here, "churn", "--rev", "v1.5.0") == "model 1"


def test_what_is_not_there_is_an_error_that_writes_nothing(registry, tmp_path):
    here = make.write(tmp_path / "here", {"model.bin": "mine"})
    tag(registry, "ghost@v1.0.0")
    for arguments, code, words in (
        (("churn",), 1, "something here already"),
        (("churm",), 255, "did you mean 'churn'?"),
        (("churn", "--rev", "1.5.0"), 255, "did you mean 'v1.5.0'?"),
        (("churn", "--rev", "v9.0.0"), 255, "no version 'v9.0.0'"),
        (("churn", "--stage", "produ"), 255, "did you mean 'prod'?"),
        (("churn", "--rev", "v1.5.0", "--stage", "prod"), 2, "one version"),
        (("ghost",), 255, "no artifact 'ghost'"),
    ):
        shown = make.assay(here, "artifacts", "get", str(registry), *arguments)
        assert (shown.code, shown.out) == (code, ""), shown
        assert words in shown.err, shown
        assert make.snapshot(here) == {"model.bin": make.snapshot(here)["model.bin"]}
    assert (here / "model.bin").read_text() == "mine"


def test_the_json_says_which_commit_it_was(registry, tmp_path):
    text = make.done(tmp_path, "artifacts", "get", str(registry), "churn", "--json")
    document = json.loads(text)
    assert document["commit"] == make.git(registry, "rev-parse", "HEAD~1").strip()
    assert (document["n_files"], document["size"]) == (1, 7)


def test_versions_are_ordered_as_semantic_versioning_has_it():
    ordered = [
        "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-beta", "v1.0.0-beta.2",
        "v1.0.0-beta.11", "v1.0.0-rc.1", "v1.0.0", "v1.0.1", "v1.2.0", "v1.10.0", "v2.0.0",
    ]  # fmt: skip
    shuffled = random.Random(1).sample(ordered, len(ordered))
    assert sorted(shuffled, key=precedence) == ordered
    assert precedence("v1.0.0+a") == precedence("v1.0.0+b")


@pytest.mark.parametrize(
    "name",
    ["v1.0", "churn", "churn@1.0.0", "churn@v1.0", "churn@v01.0.0", "churn#", "-a@v1.0.0",
     "churn@v1.0.0#x", "churn@latest", "a:b@v1.0.0", "churn#prod#"],
)  # fmt: skip
def test_other_tags_say_nothing(name):
    assert parse(name) is None


def test_an_empty_registry_says_how_to_begin():
    with pytest.raises(NotFound, match="annotated tag"):
        commit_of([], "churn")


NAMES = ("a", "a/b", "m-1", "x=m", "x/y=m_2", "a=b=c", "a.b", "a.b=c", "é")
ENDS = (
    "@v1.2.3", "@v1.2.3!", "@v1.2.3-rc.1+b.2", "@v1.2", "@v1.2.3!#4", "#prod", "#prod#2",
    "#prod!#3", "#pr/od", "@deprecated", "@deprecated#3", "@created", "@createdx", "#a!!", "@",
)  # fmt: skip

GTO = """
import json, sys
from gto.tag import parse_name as parse
print(json.dumps([
    [*map(f.get, ("name", "version", "stage", "counter")), getattr(f.get("action"), "value", None)]
    for f in (parse(name, raise_on_fail=False) for name in json.load(sys.stdin))]))
"""


@pytest.mark.peer
@pytest.mark.skipif(not PYTHON.exists(), reason="no real DVC; 'make peers' installs it")
def test_tags_are_read_as_gto_reads_them():
    names = [name + end for name in NAMES for end in ENDS]
    done = subprocess.run(
        [str(PYTHON), "-c", GTO],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
    )
    for name, theirs in zip(names, json.loads(done.stdout), strict=True):
        ours = parse(name)
        if ours is None:
            assert theirs == [None] * 5, name
        elif ours.action != "create":  # it knows the word, and gives it no meaning
            assert [
                ours.name, ours.version, ours.stage, ours.counter or None, ours.action,
            ] == theirs, name  # fmt: skip


@pytest.mark.peer
@pytest.mark.skipif(not PYTHON.exists(), reason="no real DVC; 'make peers' installs it")
def test_real_dvc_gets_the_same(registry, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    asked = [
        (here, ("artifacts", "get", str(registry), *arguments, "-o", f"it{number}"))
        for number, (arguments, _) in enumerate(GOOD)
        if not arguments[0].startswith("dvc.yaml:")  # which it does not know
    ]
    answers = ask(asked)
    for (_, arguments), answer in zip(asked, answers, strict=True):
        assert answer.code == 0, (arguments, answer.err)
        place = here / arguments[-1]
        theirs = (place / "a" if place.is_dir() else place).read_text()
        assert theirs == dict(GOOD)[arguments[3:-2]], arguments


def test_tags_of_one_second_go_by_their_numbers():
    tags = [
        Tag(name="m", action="assign", stage="s", counter=number, commit=str(number), at=5)
        for number in (10, 9)
    ]
    ordered = sorted(tags, key=lambda one: (one.at, one.counter))
    assert commit_of(ordered, "m", stage="s") == "10"
    assert artifact_tags.parse("m#s#10") is not None
