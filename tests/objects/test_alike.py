"""Two names that a disk takes for one file are not checked out over each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.objects import alike, checkout, tree
from assay.objects.cache import Cache
from assay.objects.checkout import Target
from assay.objects.index import Index
from assay.objects.tree import Entry
from tests import make

PAIRS = [
    ("Data.csv", "data.csv"),
    ("s/A", "S/a"),
    ("caf\u00e9", "cafe\u0301"),
    ("STRASSE", "straße"),
]


def bring(folder: Path, names: tuple[str, ...], *, ignores_case: bool) -> None:
    """Check a folder with these files out, on a disk that tells capital letters or does not."""
    cache, index = Cache(folder / "cache"), Index(folder / "index.db")
    oid = tree.add(cache, [Entry(name, cache.add(name.encode())) for name in names])
    target = Target(path=folder / "d", oid=oid)
    checkout.checkout(
        [target], cache, index, work=folder / "work", ignores_case=lambda _folder: ignores_case
    )


@pytest.mark.parametrize("pair", PAIRS)
def test_they_are_named_and_nothing_is_written(tmp_path: Path, pair: tuple[str, str]):
    make.write(tmp_path, {"d/mine": "1"})
    before = make.snapshot(tmp_path / "d")
    with pytest.raises(Error, match="are one file on this disk") as caught:
        bring(tmp_path, ("b", *pair), ignores_case=True)
    assert all(repr(name)[1:-1] in caught.value.what for name in pair)
    assert "rename one of them" in (caught.value.hint or "")
    assert make.snapshot(tmp_path / "d") == before


@pytest.mark.parametrize("pair", PAIRS)
def test_where_the_disk_tells_them_apart_they_are_two_files(tmp_path: Path, pair: tuple[str, str]):
    bring(tmp_path, pair, ignores_case=False)
    assert [(tmp_path / "d" / name).read_text() for name in pair] == list(pair)


def test_names_that_differ_are_no_matter_on_any_disk(tmp_path: Path):
    bring(tmp_path, ("A", "b", "C/d"), ignores_case=True)
    assert (tmp_path / "d" / "C" / "d").read_text() == "C/d"


def test_two_outputs_may_be_one_file_too(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    targets = [Target(path=tmp_path / name, oid=cache.add(name.encode())) for name in ("A", "a")]
    with pytest.raises(Error, match="are one file"):
        checkout.checkout(
            targets,
            cache,
            Index(tmp_path / "index.db"),
            work=tmp_path / "work",
            ignores_case=lambda _folder: True,
        )
    assert not (tmp_path / "A").exists()


def test_the_disk_is_asked_by_a_look_at_it(tmp_path: Path):
    """It agrees with what really happens to two files."""
    make.write(tmp_path, {"probe": "1"})
    assert alike.ignores_case(tmp_path / "work") == (tmp_path / "PROBE").exists()
    (tmp_path / "WORK").mkdir(exist_ok=True)  # another folder is not the same one
    assert alike.ignores_case(tmp_path / "work") == (tmp_path / "PROBE").exists()
