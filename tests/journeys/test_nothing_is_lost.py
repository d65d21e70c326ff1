"""Adds, edits, removals, checkouts, pushes and collections in any order, beside a model in memory.

The model knows, of every commit, which contents it recorded, and which commits the cache and the
remote have to have whole: those that were there and that each collection since then kept. Now and
then an output is as DVC 2 would have recorded and stored it.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from assay.objects import tree
from assay.objects.cache import Cache
from assay.objects.legacy import PREFIX
from assay.objects.tree import Entry
from tests import dvc_2, make

NAMES = st.sampled_from(["f", "d/a", "d/b", "d/s/c"])
CONTENTS = st.sampled_from(["new", "new", "new", "0", "1", "2\r\n"])
SCOPES = st.lists(st.sampled_from(["-w", "-a", "-T", "-A"]), min_size=1, max_size=2, unique=True)
Files = dict[str, str]


class Record(NamedTuple):
    """What the records of 'f' and 'd' say, and which of the two are of DVC 2."""

    files: Files
    old: frozenset[str] = frozenset()

    def of(self, output: str) -> Files:
        """Return the files of one output."""
        return {n: text for n, text in self.files.items() if n.split("/", maxsplit=1)[0] == output}


def oids_of(record: Record) -> set[str]:
    """Return the objects that a record needs, by the model's own arithmetic."""
    return set(objects_of(record, "f")) | set(objects_of(record, "d"))


def objects_of(record: Record, output: str) -> dict[str, bytes]:
    """Return the objects of one output; what stands for all of it comes last."""
    is_old = output in record.old
    found: dict[str, bytes] = {}
    entries = []
    for name, text in record.of(output).items():
        content = text.encode()
        oid = PREFIX + dvc_2.md5(content) if is_old else hashlib.md5(content).hexdigest()
        entries.append(Entry(name[2:], oid))
        found[oid] = content
    if output == "d":
        content = tree.dump(entries)
        name = f"{hashlib.md5(content).hexdigest()}.dir"
        found[PREFIX + name if is_old else name] = content
    return found


def store_at(root: Path) -> Cache:
    """Return the objects of a cache or a remote, those of DVC 2 beside the others."""
    return Cache(root / "files" / "md5", legacy=root)


def all_of(store: Cache) -> set[str]:
    return {*store, *store.of(PREFIX)}


class NothingIsLost(RuleBasedStateMachine):
    """The record is what the `.dvc` files of the work tree say; a commit names a record."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=make.memory()))
        self.project = make.project(self.folder / "project")
        self.cache = store_at(self.project / ".dvc" / "cache")
        self.store = store_at(self.folder / "store")
        self.numbers = itertools.count()
        self.files: Files = {}
        self.record = Record({})
        self.commits: dict[str, Record] = {}
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
        text = f"new\r\n{next(self.numbers)}" if content == "new" else content
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
        now = Record(dict(self.files))
        self.record = now._replace(old=self.still_old(now))

    def still_old(self, now: Record) -> frozenset[str]:
        """Return the outputs that stay as DVC 2 recorded them: nothing in them changed."""
        return frozenset(name for name in self.record.old if self.record.of(name) == now.of(name))

    @rule(output=st.sampled_from(["f", "d"]))
    def as_dvc_2_left_it(self, output: str) -> None:
        """Let the record of an output be one of DVC 2, with its objects in the old place."""
        if output not in self.record.old:
            self.record = self.record._replace(old=self.record.old | {output})
            objects = objects_of(self.record, output)
            for oid, content in objects.items():
                place = self.cache.path(oid)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.unlink(missing_ok=True)
                place.write_bytes(content)
                place.chmod(0o444)
            oid = [*objects][-1].removeprefix(PREFIX)
            make.write(self.project, {f"{output}.dvc": f"outs:\n- md5: {oid}\n  path: {output}\n"})

    @rule(name=NAMES)
    def add_a_part(self, name: str) -> None:
        if name in self.files and self.is_whole(self.record):  # else its list may be gone
            make.done(self.project, "add", "--no-profile", name)
            is_same = self.still_old(Record(dict(self.files)))  # all of it: then nothing is new
            files = self.record.files | {name: self.files[name]}
            output = name.split("/", maxsplit=1)[0]
            old = self.record.old if output in is_same else self.record.old - {output}
            self.record = Record(files, old)

    @rule()
    def commit(self) -> None:
        commit = make.commit(self.project)
        self.commits[commit] = self.record
        self.tips[self.branch] = commit
        if self.is_whole(self.record):
            self.here.add(commit)

    @rule(f=CONTENTS, a=CONTENTS, tagged=st.booleans(), old=st.booleans())
    def next_version(self, f: str, a: str, tagged: bool, old: bool) -> None:
        """Go on as people do: edit, add, commit, and tag it now and then; once with DVC 2."""
        self.edit("f", f)
        self.edit("d/a", a)
        self.add()
        for output in ("f", "d") if old else ():
            self.as_dvc_2_left_it(output)
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
        self.record = self.commits[self.tips[name]]
        self.checkout()

    @rule()
    def checkout(self) -> None:
        """Have what is recorded, or hear that it is not there, with nothing touched."""
        if not self.is_whole(self.record):
            make.assay(self.project, "fetch")
        is_done = make.assay(self.project, "checkout", "--force").code == 0
        assert is_done or not self.is_whole(self.record)
        if is_done:
            self.files = dict(self.record.files)
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
        oids = sorted(oid for oid in all_of(self.store) if not oid.endswith(".dir"))
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
            assert all_of(self.cache) <= oids_of(self.record)

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
        shutil.rmtree(self.project / ".dvc" / "cache")
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
            assert files_of(clone) == self.commits[tip].files
            shutil.rmtree(clone)

    def is_whole(self, record: Record) -> bool:
        return all(self.cache.has(oid) for oid in oids_of(record))

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
            found[path.relative_to(folder).as_posix()] = path.read_bytes().decode()
    return found


QUICK: dict[str, Any] = {"max_examples": 30, "stateful_step_count": 25, "deadline": None}
TestNothingIsLost = NothingIsLost.TestCase
TestNothingIsLost.settings = settings(**QUICK)


@pytest.mark.slow
class TestNothingIsLostInLongRuns(NothingIsLost.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
