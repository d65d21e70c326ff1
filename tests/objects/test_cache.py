"""A cache gives back what it was given, whole, or says that it cannot."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from assay.base.errors import NotFound
from assay.objects.cache import Cache, Damaged
from assay.objects.hashing import hash_bytes
from tests import make


class CacheKeepsWhatItWasGiven(RuleBasedStateMachine):
    """A dict is the model: whatever the order of calls, the cache answers as the dict would."""

    oids = Bundle("oids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=make.memory()))
        self.cache = Cache(self.folder / "cache")
        self.model: dict[str, bytes] = {}

    @rule(target=oids, content=st.binary(max_size=64), suffix=st.sampled_from(["", ".dir"]))
    def add(self, content, suffix):
        oid = self.cache.add(content, suffix=suffix)
        assert oid == hashlib.md5(content).hexdigest() + suffix
        self.model[oid] = content
        return oid

    @rule(contents=st.lists(st.binary(max_size=8), max_size=4), hardlink=st.booleans())
    def add_files(self, contents, hardlink):
        paths = []
        for number, content in enumerate(contents):
            paths.append(self.folder / str(number))
            paths[-1].unlink(missing_ok=True)
            paths[-1].write_bytes(content)
        stored = self.cache.add_files(paths, hardlink=hardlink)
        assert [s.size for s in stored] == [len(c) for c in contents]
        self.model.update({s.oid: c for s, c in zip(stored, contents, strict=True)})

    @rule(oid=oids)
    def remove(self, oid):
        self.cache.remove(oid)  # twice is as good as once
        self.model.pop(oid, None)

    @rule(oid=oids, content=st.binary(max_size=8))
    def damage(self, oid, content):
        if oid not in self.model or self.model[oid] == content:
            return
        self.cache.path(oid).chmod(0o644)
        self.cache.path(oid).write_bytes(content)
        assert not self.cache.verify(oid)
        with pytest.raises(Damaged):
            self.cache.read(oid)
        del self.model[oid]

    @rule()
    def reopen(self):
        self.cache = Cache(self.folder / "cache")

    @invariant()
    def holds_exactly_the_model(self):
        assert {oid: self.cache.read(oid) for oid in self.cache} == self.model
        assert all(oid in self.cache and self.cache.verify(oid) for oid in self.model)

    @invariant()
    def leaves_nothing_beside_the_objects(self):
        for place, folders, _ in os.walk(self.folder / "cache"):
            folders[:] = [name for name in folders if name != "damaged"]
            assert not [name for name in folders if len(name) != 2], place

    def teardown(self):
        shutil.rmtree(self.folder)


TestCache = CacheKeepsWhatItWasGiven.TestCase
TestCache.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_an_object_is_read_only(tmp_path: Path):
    cache = Cache(tmp_path)
    assert stat.S_IMODE(cache.path(cache.add(b"x")).stat().st_mode) == 0o444


def test_sha256_names_our_own_objects(tmp_path: Path):
    cache = Cache(tmp_path, algorithm="sha256")
    assert cache.add(b"x") == hashlib.sha256(b"x").hexdigest()
    assert cache.verify(cache.add(b"x"))


def test_a_damaged_object_is_moved_aside_and_named_and_its_bytes_are_kept(tmp_path: Path):
    cache = Cache(tmp_path)
    oid = cache.add(b"good")
    cache.path(oid).chmod(0o644)
    cache.path(oid).write_bytes(b"bad!")
    with pytest.raises(Damaged, match=oid) as caught:
        cache.read(oid)
    assert not cache.has(oid)
    assert "assay pull" in (caught.value.hint or "")
    assert (tmp_path / "damaged" / oid).read_bytes() == b"bad!"
    assert cache.add(b"good") == oid  # and a good one takes its place
    assert cache.read(oid) == b"good"


def test_a_missing_object_says_how_to_get_it(tmp_path: Path):
    cache = Cache(tmp_path)
    for ask in (cache.read, cache.verify):
        with pytest.raises(NotFound, match="not in the cache") as caught:
            ask("0" * 32)
        assert "assay pull" in (caught.value.hint or "")


def test_a_file_taken_in_by_hard_link_is_the_object(tmp_path: Path):
    file = tmp_path / "f"
    file.write_bytes(b"x")
    cache = Cache(tmp_path / "cache")
    stored = cache.add_files([file], hardlink=True)[0]
    assert file.samefile(cache.path(stored.oid))
    assert stat.S_IMODE(file.stat().st_mode) == 0o444


def test_a_file_that_vanishes_leaves_no_part_of_the_batch(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    cache = Cache(tmp_path / "cache")
    with pytest.raises(Exception, match="no such file") as caught:
        cache.add_files([tmp_path / "f", tmp_path / "gone"])
    assert str(tmp_path / "gone") in str(caught.value)
    assert list(cache) == []
    assert list((tmp_path / "cache").iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 1500), max_size=1500), st.sampled_from([0, 3, 3000]))
def test_what_is_lacking_is_what_it_has_not(here, others: int):
    """Asked for few or many, in folders that hold about as many or far more."""
    asked = [hash_bytes(b"%d" % number) for number in range(1501)]
    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        cache = Cache(Path(folder))
        for oid in [asked[number] for number in here]:
            cache.path(oid).parent.mkdir(exist_ok=True)
            cache.path(oid).touch()
        shard = Path(folder) / asked[0][:2]
        shard.mkdir(exist_ok=True)
        for number in range(others):
            (shard / f"{number:030d}").touch()
        for some in (asked, asked[:3], [*reversed(asked)]):
            assert cache.lacking(some) == [oid for oid in some if not cache.has(oid)]


def test_objects_of_dvc_2_are_lacking_where_they_are_not(tmp_path: Path):
    cache = Cache(tmp_path / "files" / "md5", legacy=tmp_path)
    old = "md5-dos2unix:" + "ab" * 16
    assert cache.lacking([old]) == [old]
    cache.path(old).parent.mkdir(parents=True)
    cache.path(old).touch()
    assert cache.lacking([old]) == []


@pytest.mark.parametrize(
    "oid", ["../secret.txt", "..secret.txt", "ab/../../../secret.txt", "", "ab", "..", "ab..",
            "md5-dos2unix:../../secret.txt", "ab\0c", "../secret.txt.dir"],
)  # fmt: skip
def test_an_oid_that_is_no_hash_never_leads_out_of_the_store(tmp_path: Path, oid: str):
    folder = tmp_path / "store"
    store = Cache(folder, algorithm="sha256")
    store.add(b"an object")
    outside = (tmp_path / "secret.txt", folder / "secret.txt", folder / "md5-dos2unix")
    for path in outside[:2]:
        path.write_bytes(b"secret")
    before = sorted(tmp_path.rglob("*"))
    assert not store.has(oid)
    assert store.lacking([oid]) == [oid]
    for use in (store.place, store.read, store.verify, store.remove, store.damaged):
        with pytest.raises(NotFound, match="that is no hash") as caught:
            use(oid)
        assert caught.value.where == str(folder)
        assert caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before
