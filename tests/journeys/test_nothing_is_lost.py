"""Adds, edits, removals, checkouts, pushes and collections in any order, beside a model in memory.

The model knows, of every commit, which contents it recorded, and which commits the cache and the
remote have to have whole: those that were there and that each collection since then kept.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from assay.objects import tree
from assay.objects.cache import Cache
from assay.objects.tree import Entry
from tests import make

NAMES = st.sampled_from(["f", "d/a", "d/b", "d/s/c"])
CONTENTS = st.sampled_from(["new", "new", "new", "0", "1"])
SCOPES = st.lists(st.sampled_from(["-w", "-a", "-T", "-A"]), min_size=1, max_size=2, unique=True)
Files = dict[str, str]


def oids_of(files: Files) -> set[str]:
    """Return the objects that a record of these files needs, by the model's own arithmetic."""
    found = {hashlib.md5(text.encode()).hexdigest() for text in files.values()}
    folder = [
        Entry(name[2:], hashlib.md5(text.encode()).hexdigest())
        for name, text in files.items()
        if name.startswith("d/")
    ]
    return found | ({tree.oid_of(folder)} if folder else set())


class NothingIsLost(RuleBasedStateMachine):
    """The record is what the `.dvc` files of the work tree say; a commit names a record."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=make.memory()))
        self.project = make.project(self.folder / "project")
        self.cache = make.cache(self.project)
        self.store = Cache(self.folder / "store" / "files" / "md5")
        self.numbers = itertools.count()
        self.files: Files = {}
        self.record: Files = {}
        self.commits: dict[str, Files] = {}
        self.tips: dict[str, str] = {}
        self.tags: set[str] = set()
        self.branch = "main"
        self.here: set[str] = set()  # commits that the cache has to have
        self.there: set[str] = set()  # commits that the remote has to have

    @initialize()
    def begin(self) -> None:
        make.done(self.project, "remote", "add", "-d", "st", "../store")
        make.write(self.project, {"f": "0", "d/a": "0"})
        self.files = {"f": "0", "d/a": "0"}
        self.add()
        self.commit()

    @rule(name=NAMES, content=CONTENTS)
    def edit(self, name: str, content: str) -> None:
        """Write a content that no file has yet, or one that others have, too."""
        text = f"new {next(self.numbers)}" if content == "new" else content
        (self.project / name).unlink(missing_ok=True)
        make.write(self.project, {name: text})
        self.files[name] = text

    @rule(name=st.sampled_from(["d/b", "d/s/c"]))
    def remove(self, name: str) -> None:
        (self.project / name).unlink(missing_ok=True)
        self.files.pop(name, None)

    @rule()
    def add(self) -> None:
        make.done(self.project, "add", "--no-profile", "f", "d")
        self.record = dict(self.files)

    @rule(name=NAMES)
    def add_a_part(self, name: str) -> None:
        if name in self.files and self.is_whole(self.record):  # else its list may be gone
            make.done(self.project, "add", "--no-profile", name)
            self.record[name] = self.files[name]

    @rule()
    def commit(self) -> None:
        commit = make.commit(self.project)
        self.commits[commit] = dict(self.record)
        self.tips[self.branch] = commit
        if self.is_whole(self.record):
            self.here.add(commit)

    @rule(f=CONTENTS, a=CONTENTS, tagged=st.booleans())
    def next_version(self, f: str, a: str, tagged: bool) -> None:
        """Go on as people do: edit, add, commit, and tag it now and then."""
        self.edit("f", f)
        self.edit("d/a", a)
        self.add()
        self.commit()
        if tagged:
            self.tag()

    @rule()
    def tag(self) -> None:
        commit = self.tips[self.branch]
        make.git(self.project, "tag", "-f", f"t-{commit[:10]}", commit)
        self.tags.add(commit)

    @rule(name=st.sampled_from(["main", "other"]))
    def switch(self, name: str) -> None:
        """Go to the tip of a branch, made where it is missing; what is not saved goes."""
        make.git(self.project, "add", "-A")
        make.git(self.project, "reset", "-q", "--hard")
        if name not in self.tips:
            make.git(self.project, "checkout", "-q", "-b", name)
            self.tips[name] = self.tips[self.branch]
        else:
            make.git(self.project, "checkout", "-q", name)
        self.branch = name
        self.record = dict(self.commits[self.tips[name]])
        self.checkout()

    @rule()
    def checkout(self) -> None:
        """Have what is recorded, or hear that it is not there, with nothing touched."""
        if not self.is_whole(self.record):
            make.assay(self.project, "fetch")
        is_done = make.assay(self.project, "checkout", "--force").code == 0
        assert is_done or not self.is_whole(self.record)
        if is_done:
            self.files = dict(self.record)
        assert files_of(self.project) == self.files

    @rule(everything=st.booleans())
    def push(self, everything: bool) -> None:
        shown = make.assay(self.project, "push", *(["-A"] if everything else []))
        if everything and shown.code == 0:
            self.there |= set(self.commits)
        tip = self.tips[self.branch]
        if shown.code == 0 and self.record == self.commits[tip]:
            self.there.add(tip)

    @rule(number=st.integers(0, 99))
    def the_remote_loses_a_file(self, number: int) -> None:
        """Then no commit that needs it counts as being there, until it is pushed again."""
        oids = sorted(oid for oid in self.store if not oid.endswith(".dir"))
        if oids:
            lost = oids[number % len(oids)]
            self.store.remove(lost)
            self.there -= {c for c in self.there if lost in oids_of(self.commits[c])}

    @rule(scopes=SCOPES, cloud=st.booleans())
    def collect(self, scopes: list[str], cloud: bool) -> None:
        kept = self.kept(scopes)
        options = [*scopes, "-c"] if cloud else scopes
        make.done(self.project, "gc", *options, "--force")
        self.here &= kept
        if cloud:
            self.there &= kept
        if scopes == ["-w"]:
            assert set(self.cache) <= oids_of(self.record)

    def kept(self, scopes: list[str]) -> set[str]:
        """Return the commits whose data a collection has to keep: equal records are one."""
        named = set()
        if "-a" in scopes:
            named |= set(self.tips.values())
        if "-T" in scopes:
            named |= self.tags
        if "-A" in scopes:
            named |= set(self.commits)
        needed = oids_of(self.record)
        needed = needed.union(*(oids_of(self.commits[commit]) for commit in named))
        return {c for c in self.commits if c in named or oids_of(self.commits[c]) <= needed}

    @rule()
    def lose_the_cache_and_fetch(self) -> None:
        """What was pushed comes back, whatever happened to the cache."""
        shutil.rmtree(self.cache.folder)
        make.assay(self.project, "fetch", "-A")
        self.here = set(self.there)

    @precondition(lambda self: self.there)
    @rule()
    def a_clone_has_what_was_pushed(self) -> None:
        tip = self.tips["main"]
        if tip in self.there:
            clone = self.folder / "clone"
            make.git(self.folder, "clone", "-q", "-b", "main", str(self.project), "clone")
            make.done(clone, "pull")
            assert files_of(clone) == self.commits[tip]
            shutil.rmtree(clone)

    def is_whole(self, files: Files) -> bool:
        return all(self.cache.has(oid) for oid in oids_of(files))

    @invariant()
    def what_has_to_be_there_is_there(self) -> None:
        for store, commits in ((self.cache, self.here), (self.store, self.there)):
            for commit in commits:
                needed = oids_of(self.commits[commit])
                assert all(store.has(oid) and store.verify(oid) for oid in needed)

    @invariant()
    def no_file_of_the_person_changed(self) -> None:
        assert files_of(self.project) == self.files

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


def files_of(folder: Path) -> Files:
    found: Files = {}
    for path in [folder / "f", *(folder / "d").rglob("*")]:
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_text()
    return found


QUICK: dict[str, Any] = {"max_examples": 30, "stateful_step_count": 25, "deadline": None}
TestNothingIsLost = NothingIsLost.TestCase
TestNothingIsLost.settings = settings(**QUICK)


@pytest.mark.slow
class TestNothingIsLostInLongRuns(NothingIsLost.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
