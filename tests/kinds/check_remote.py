"""What every remote promises, as functions that take a factory.

The factory opens the same remote again each time it is called: what one has written, the next
one finds. A third party runs its own remote through `CHECKS`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from assay.objects.remotes import Entry, Inside, Item, Remote

Factory = Callable[[], Remote]


def item(folder: Path, content: bytes, *, suffix: str = "") -> Item:
    """Write an object into a folder of the cache's layout and return its item."""
    oid = hashlib.md5(content).hexdigest() + suffix
    path = folder / oid[:2] / oid[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Item(f"files/md5/{oid[:2]}/{oid[2:]}", path, oid, "md5")


def elsewhere(one: Item, folder: Path) -> Item:
    """Return the same item for another cache."""
    return one._replace(place=folder / one.oid[:2] / one.oid[2:])


def _ignore(_count: int) -> None:
    pass


def check_what_was_uploaded_can_be_found_listed_and_downloaded(make: Factory, tmp_path: Path):
    items = [item(tmp_path / "a", content) for content in (b"", b"one", os.urandom(3_000_000))]
    items.append(item(tmp_path / "a", b"[]", suffix=".dir"))
    counts: list[int] = []
    assert make().upload(items, advance=counts.append) == []
    assert sum(counts) == len(items)
    keys = {one.key for one in items}
    absent = "files/md5/00/" + "0" * 30
    assert make().find([*keys, absent]) == keys
    assert set(make().list_("files/md5")) == keys
    there = [elsewhere(one, tmp_path / "b") for one in items]
    assert make().download(there, advance=_ignore) == []
    assert [one.path.read_bytes() for one in there] == [one.path.read_bytes() for one in items]


def check_an_empty_remote_has_nothing(make: Factory, tmp_path: Path):
    assert make().find(["files/md5/00/" + "0" * 30]) == set()
    assert make().find([]) == set()
    assert list(make().list_("files/md5")) == []


def check_many_keys_are_found_as_few_are(make: Factory, tmp_path: Path):
    items = [item(tmp_path / "a", str(n).encode()) for n in range(40)]
    make().upload(items[::2], advance=_ignore)
    absent = [f"files/md5/{n % 256:02x}/{n:030x}" for n in range(1000)]
    keys = {one.key for one in items[::2]}
    assert make().find([one.key for one in items] + absent) == keys
    assert make().find([one.key for one in items]) == keys


def check_uploading_twice_is_as_good_as_once(make: Factory, tmp_path: Path):
    one = item(tmp_path / "a", b"one")
    for _ in range(2):
        assert make().upload([one], advance=_ignore) == []
    assert list(make().list_("files/md5")) == [one.key]


def check_a_damaged_file_is_not_uploaded_and_is_named(make: Factory, tmp_path: Path):
    good, bad = item(tmp_path / "a", b"good"), item(tmp_path / "a", b"bad")
    bad.path.write_bytes(b"BAD")
    damaged = make().upload([good, bad], advance=_ignore)
    assert [(d.item, str(bad.path) in d.where) for d in damaged] == [(bad, True)]
    assert make().find([good.key, bad.key]) == {good.key}


def check_a_damaged_file_is_not_downloaded_and_is_named(
    make: Factory, tmp_path: Path, damage: Callable[[str], object]
):
    items = [item(tmp_path / "a", b"good"), item(tmp_path / "a", b"bad")]
    make().upload(items, advance=_ignore)
    damage(items[1].key)
    good, bad = (elsewhere(one, tmp_path / "b") for one in items)
    damaged = make().download([good, bad], advance=_ignore)
    assert [d.item for d in damaged] == [bad]
    assert bad.key.rpartition("/")[2] in damaged[0].where
    assert good.path.read_bytes() == b"good"
    assert not bad.path.exists()


def check_a_transfer_leaves_only_objects_behind(make: Factory, tmp_path: Path):
    one = item(tmp_path / "a", b"one")
    make().upload([one], advance=_ignore)
    there = elsewhere(one, tmp_path / "b")
    make().download([there], advance=_ignore)
    assert [p for p in (tmp_path / "b").rglob("*") if p.is_file()] == [there.path]
    assert set(make().list_("")) == {one.key}


def check_a_folder_tells_all_that_is_in_it_and_lists_what_is_no_file_on_its_way(
    make: Factory, tmp_path: Path
):
    one = item(tmp_path / "a", b"one")
    hidden = item(tmp_path / "a", b"two")._replace(key="files/.hidden")
    make().upload([one, hidden], advance=_ignore)
    assert {entry.key for entry in make().entries("files")} == {one.key, hidden.key}
    assert set(make().list_("files")) == {one.key}
    inside = make().inside("files")
    assert inside.folders == ["files/md5"]
    assert [(entry.key, entry.size) for entry in inside.files] == [(hidden.key, 3)]
    assert make().inside("").folders == ["files"]
    assert make().inside("nothing") == Inside([], [])


def check_a_folder_is_no_file(make: Factory, tmp_path: Path):
    one = item(tmp_path / "a", b"one")
    make().upload([one], advance=_ignore)
    entry = make().stat(one.key)
    assert entry is not None
    assert not entry.is_folder
    for folder in ("files/md5", ""):
        found = make().stat(folder)
        assert found is None or found == Entry(folder, is_folder=True)


CHECKS = (
    check_what_was_uploaded_can_be_found_listed_and_downloaded,
    check_an_empty_remote_has_nothing,
    check_many_keys_are_found_as_few_are,
    check_uploading_twice_is_as_good_as_once,
    check_a_damaged_file_is_not_uploaded_and_is_named,
    check_a_transfer_leaves_only_objects_behind,
    check_a_folder_tells_all_that_is_in_it_and_lists_what_is_no_file_on_its_way,
    check_a_folder_is_no_file,
)
"""The checks that need nothing but a factory; the damaged download needs a hand on the remote."""
