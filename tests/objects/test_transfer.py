"""Objects move whole, once, files before manifests; what could not move is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error
from assay.objects import transfer, tree
from assay.objects.cache import Cache
from assay.objects.remotes import Remote, RemoteSettings, open_remote
from assay.objects.transfer import Moved, Wanted, key_of
from assay.objects.tree import Entry


class Place:
    """Two caches with a remote between them."""

    def __init__(self, folder: Path) -> None:
        self.here, self.there = Cache(folder / "here"), Cache(folder / "there")
        self.store = folder / "store"
        self.remote = open_remote(RemoteSettings(name="st", url=str(self.store)))

    def folder(self, *contents: bytes) -> tuple[str, list[str]]:
        """Add files and the manifest of a folder with them."""
        oids = [self.here.add(content) for content in contents]
        entries = [Entry(f"f{number}", oid) for number, oid in enumerate(oids)]
        return tree.add(self.here, entries), oids

    def file(self, oid: str) -> Path:
        return self.store / key_of(oid)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"damaged")


def test_what_is_pushed_can_be_pulled_elsewhere(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    assert transfer.push([manifest], place.here, place.remote) == Moved(moved=3)
    assert transfer.pull([manifest], place.there, place.remote) == Moved(moved=3)
    assert {*place.there} == {manifest, *oids}
    assert all(place.there.verify(oid) for oid in place.there)


def test_what_is_there_is_not_moved_again(place: Place):
    manifest, _ = place.folder(b"one", b"two")
    transfer.push([manifest], place.here, place.remote)
    assert transfer.push([manifest, manifest], place.here, place.remote) == Moved(present=3)
    transfer.pull([manifest], place.there, place.remote)
    assert transfer.pull([manifest], place.there, place.remote).moved == 0


def test_a_push_repairs_a_remote_that_lost_a_file_under_a_manifest(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    transfer.push([manifest], place.here, place.remote)
    place.file(oids[0]).unlink()
    assert transfer.push([manifest], place.here, place.remote).moved == 1
    assert transfer.pull([manifest], place.there, place.remote).complete


def test_a_manifest_is_not_pushed_before_its_files(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    place.here.remove(oids[0])
    moved = transfer.push([manifest], place.here, place.remote)
    assert (moved.moved, moved.missing) == (1, [oids[0]])
    assert not place.file(manifest).exists()


def test_a_missing_file_that_the_remote_has_is_not_missed(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    transfer.push(oids, place.here, place.remote)
    place.here.remove(oids[0])
    assert transfer.push([manifest], place.here, place.remote) == Moved(moved=1, present=2)


def test_a_damaged_object_is_not_pushed_but_named_and_moved_aside(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    damage(place.here.path(oids[1]))
    moved = transfer.push([manifest], place.here, place.remote)
    assert (moved.moved, moved.damaged) == (1, [str(place.here.path(oids[1]))])
    assert not place.file(manifest).exists()
    assert not place.file(oids[1]).exists()
    assert not place.here.has(oids[1])


def test_a_pull_brings_a_damaged_object_back(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    transfer.push([manifest], place.here, place.remote)
    damage(place.here.path(oids[1]))
    place.file(oids[1]).chmod(0o444)
    place.file(manifest).unlink()
    place.file(oids[1]).unlink()
    transfer.push([manifest], place.here, place.remote)  # finds the damage
    transfer.push([place.there.add(b"two")], place.there, place.remote)
    assert transfer.pull([manifest], place.here, place.remote) == Moved(moved=1, present=2)
    assert place.here.read(oids[1]) == b"two"


def test_a_damaged_file_of_the_remote_is_not_pulled_but_named(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    transfer.push([manifest], place.here, place.remote)
    damage(place.file(oids[0]))
    moved = transfer.pull([manifest], place.there, place.remote)
    assert moved.damaged == [str(place.file(oids[0]))]
    assert {*place.there} == {manifest, oids[1]}


def test_what_is_found_on_neither_side_is_named(place: Place):
    absent = "0" * 32
    for move, cache in ((transfer.push, place.here), (transfer.pull, place.there)):
        for oid in (absent, f"{absent}.dir"):
            moved = move([oid], cache, place.remote)
            assert (moved.missing, moved.complete) == ([oid], False)


@pytest.mark.parametrize(
    ("moved", "verb", "hint"),
    [
        (Moved(missing=["0" * 32]), "pushed", "from a clone that has the data"),
        (Moved(damaged=["/c/ab/cd"]), "pushed", "assay pull"),
        (Moved(damaged=["/c/ab/cd"]), "pulled", "remove the damaged files there"),
    ],
)
def test_an_incomplete_transfer_is_an_error_with_the_next_step(moved: Moved, verb: str, hint: str):
    with pytest.raises(Error, match=f"{verb}; 1 object") as caught:
        transfer.raise_incomplete(moved, remote="st", verb=verb)
    assert caught.value.where == "remote 'st'"
    assert hint in (caught.value.hint or "")


def test_our_own_objects_lie_beside_dvcs(place: Place, tmp_path: Path):
    ours = Cache(tmp_path / "ours", algorithm="sha256")
    oid = ours.add(b"profile")
    transfer.push([oid], ours, place.remote, prefix=transfer.SHA256_PREFIX)
    assert (place.store / "assay" / "sha256" / oid[:2] / oid[2:]).read_bytes() == b"profile"
    other = Cache(tmp_path / "other", algorithm="sha256")
    assert transfer.pull([oid], other, place.remote, prefix=transfer.SHA256_PREFIX).complete
    assert other.read(oid) == b"profile"


def test_a_damaged_manifest_comes_again_with_a_pull(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    transfer.push([manifest], place.here, place.remote)
    damage(place.here.path(manifest))
    place.here.remove(oids[0])
    assert transfer.pull([manifest], place.here, place.remote) == Moved(moved=2, present=1)
    assert place.here.verify(manifest)


def test_a_damaged_manifest_stops_no_other_from_being_pushed(place: Place):
    bad, _ = place.folder(b"one")
    good, _ = place.folder(b"two", b"three")
    where = place.here.place(bad)
    damage(place.here.path(bad))
    assert transfer.push([bad, good], place.here, place.remote) == Moved(moved=3, damaged=[where])
    assert not place.file(bad).exists()


def test_a_manifest_that_only_the_remote_has_is_not_missed(place: Place):
    manifest, _ = place.folder(b"one")
    transfer.push([manifest], place.here, place.remote)
    place.here.remove(manifest)
    assert transfer.push([manifest], place.here, place.remote).complete


def test_a_part_of_a_folder_moves_alone_and_its_manifest_with_the_last_part(place: Place):
    manifest, oids = place.folder(b"one", b"two")
    first = Wanted(manifest, "f0".__eq__)
    assert transfer.push([first], place.here, place.remote) == Moved(moved=1)
    assert not place.file(manifest).exists()
    rest = Wanted(manifest, "f1".__eq__)
    assert transfer.push([rest], place.here, place.remote).moved == 2
    assert transfer.pull([first], place.there, place.remote).moved == 2
    assert {*place.there} == {manifest, oids[0]}


class Breaking:
    """A remote that breaks off for good after some uploads or downloads."""

    def __init__(self, remote: Remote, *, after: int) -> None:
        self._remote, self._left = remote, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._remote, name)

    def upload(self, items: Any, *, advance: Any) -> Any:
        return self._counted(self._remote.upload, items, advance)

    def download(self, items: Any, *, advance: Any) -> Any:
        return self._counted(self._remote.download, items, advance)

    def _counted(self, move: Any, items: Any, advance: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Error("the connection broke off")
        return move(items, advance=advance)


def test_what_arrived_before_a_connection_broke_off_stays(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "_BATCH_FILES", 2)
    manifest, oids = place.folder(b"1", b"2", b"3", b"4", b"5")
    with pytest.raises(Error, match="broke off"):
        transfer.push([manifest], place.here, Breaking(place.remote, after=2))
    assert sum(place.file(oid).exists() for oid in oids) == 4
    assert not place.file(manifest).exists()
    assert transfer.push([manifest], place.here, place.remote) == Moved(moved=2, present=4)
    with pytest.raises(Error, match="broke off"):
        transfer.pull([manifest], place.there, Breaking(place.remote, after=2))
    assert len({*place.there}) == 3
    assert transfer.pull([manifest], place.there, place.remote) == Moved(moved=3, present=3)


def test_a_batch_holds_not_too_many_bytes(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transfer, "_BATCH_SIZE", 10)
    manifest, oids = place.folder(b"123456", b"1234567", b"1")
    with pytest.raises(Error, match="broke off"):
        transfer.push([manifest], place.here, Breaking(place.remote, after=1))
    assert [place.file(oid).exists() for oid in oids] == [True, True, False]
