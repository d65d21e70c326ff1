"""A repository that DVC 2 wrote works as it is: nothing has to be converted first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.objects.hashing import hash_bytes
from tests import dvc_2, make
from tests.dvc_2 import FILES, clone, objects

CLEAN = "Data and pipelines are up to date.\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A project of DVC 2 with its data in the cache, and on the remote 'store'."""
    return dvc_2.project(tmp_path / "old", remote=tmp_path / "store")


@pytest.fixture
def cloned(old: Path, tmp_path: Path) -> Path:
    """A fresh clone of it, with its data."""
    folder = clone(old, tmp_path / "clone")
    make.done(folder, "pull")
    return folder


def assert_clean(folder: Path) -> None:
    assert make.done(folder, "status") == CLEAN
    assert make.done(folder, "data", "status") == "No changes.\n"
    assert make.git(folder, "status", "--short") == ""


def test_a_clone_pulls_from_the_places_of_dvc_2_and_is_clean(
    old: Path, cloned: Path, tmp_path: Path
):
    assert {name: (cloned / name).read_bytes() for name in FILES} == FILES
    assert objects(cloned / ".dvc" / "cache") == objects(tmp_path / "store")
    assert_clean(cloned)
    assert_clean(old)
    assert make.done(cloned, "pull") == "Everything is up to date.\n"
    assert make.done(cloned, "push") == "Everything is up to date.\n"


def test_status_names_what_is_not_in_the_old_cache(old: Path, tmp_path: Path):
    folder = clone(old, tmp_path / "clone")
    found = json.loads(make.done(folder, "data", "status", "--json"))
    assert found["not_in_cache"] == ["a.txt", "clean.csv", "d/"]
    assert "deleted:            a.txt" not in make.done(old, "status", "-c")


def test_line_ends_alone_are_no_change_as_for_dvc_2(cloned: Path):
    make.write(cloned, {"a.txt": FILES["a.txt"].replace(b"\r\n", b"\n")})
    assert make.done(cloned, "status") == CLEAN
    make.write(cloned, {"d/bin": b"\0\n"})
    assert "modified:           d" in make.done(cloned, "status")


@pytest.mark.parametrize("command", [("add", "a.txt", "d"), ("commit",), ("commit", "-f", "d")])
def test_what_did_not_change_keeps_its_record(cloned: Path, command: tuple[str, ...]):
    before = objects(cloned / ".dvc" / "cache")
    make.done(cloned, *command)
    assert make.git(cloned, "status", "--short") == ""
    assert objects(cloned / ".dvc" / "cache") == before


def test_what_changed_is_recorded_by_the_hash_of_its_bytes_and_goes_to_the_new_place(
    cloned: Path, tmp_path: Path
):
    make.write(cloned, {"a.txt": b"3\r\n"})
    make.done(cloned, "add", "--no-profile", "a.txt")
    new = hash_bytes(b"3\r\n")
    record = f"# mine\nouts:\n- md5: {new}\n  size: 3\n  path: a.txt\n  hash: md5\n"
    assert (cloned / "a.txt.dvc").read_text() == record
    before = objects(tmp_path / "store")
    assert make.done(cloned, "push") == "1 file pushed\n"
    [place] = objects(tmp_path / "store") - before
    assert place.startswith("files/md5/")


def test_a_part_of_an_old_folder_is_recorded_with_all_of_it(cloned: Path):
    make.done(cloned, "add", "--no-profile", "d/bin")
    assert make.git(cloned, "status", "--short") == ""
    make.write(cloned, {"d/new": "4", "d/crlf": "edited, and not named"})
    make.done(cloned, "add", "--no-profile", "d/new")
    assert "hash: md5" in (cloned / "d.dvc").read_text()
    make.done(cloned, "checkout", "--force", "d")
    assert (cloned / "d" / "new").read_text() == "4"
    assert (cloned / "d" / "crlf").read_bytes() == FILES["d/crlf"]
    make.done(cloned, "checkout", "--force")
    assert make.done(cloned, "status") == CLEAN


def test_old_commits_are_checked_out_and_nothing_is_lost(cloned: Path):
    make.write(cloned, {"a.txt": b"3\r\n", "d/new": "4"})
    make.done(cloned, "commit", "--no-profile")
    make.commit(cloned)
    make.git(cloned, "checkout", "-q", "HEAD~1")
    make.done(cloned, "checkout")
    assert {name: (cloned / name).read_bytes() for name in FILES} == FILES
    assert not (cloned / "d" / "new").exists()
    assert_clean(cloned)
    make.git(cloned, "checkout", "-q", "main")
    make.done(cloned, "checkout")
    assert (cloned / "a.txt").read_bytes() == b"3\r\n"
    make.write(cloned, {"d/crlf": "unsaved"})
    make.git(cloned, "checkout", "-q", "HEAD~1")
    shown = make.assay(cloned, "checkout")
    assert (shown.code, "d/crlf" in shown.err) == (1, True)
    assert (cloned / "d" / "crlf").read_text() == "unsaved"


def test_differences_are_told_between_commits(cloned: Path):
    make.write(cloned, {"a.txt": b"3\r\n", "d/new": "4"})
    told = {"added": ["d/new"], "modified": ["a.txt", "d/"]}

    def paths() -> dict[str, list[str]]:
        found = json.loads(make.done(cloned, "diff", "--json"))
        return {state: [row["path"] for row in rows] for state, rows in found.items() if rows}

    assert paths() == told
    make.done(cloned, "add", "--no-profile", "a.txt")
    assert paths() == told
    shown = make.done(cloned, "diff", "--show-hash")
    assert "dos2unix" not in shown


def test_gc_keeps_what_old_records_name_and_collects_the_rest(cloned: Path, tmp_path: Path):
    cache, store = cloned / ".dvc" / "cache", tmp_path / "store"
    before = objects(cache)
    assert "Nothing to remove" in make.done(cloned, "gc", "-w", "-c", "-f")
    make.write(cloned, {"a.txt": b"3\r\n"})
    make.done(cloned, "add", "--no-profile", "a.txt")
    make.commit(cloned)
    make.done(cloned, "gc", "-A", "-c", "-f")
    assert before < objects(cache)
    assert objects(store) == before
    out = make.done(cloned, "gc", "-w", "-c", "-f")  # a commit is not the work tree
    assert "Removed 1 object (6 B) from the cache of DVC 2." in out
    lost = before - objects(cache)
    assert lost == before - objects(store)
    assert len(lost) == 1
    assert make.done(cloned, "status", "a.txt.dvc", "d.dvc") == CLEAN


def damage(place: Path) -> None:
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    place.chmod(0o444)


def place_of(root: Path, content: bytes) -> Path:
    oid = dvc_2.md5(content)
    return root / oid[:2] / oid[2:]


def test_a_damaged_old_object_is_named_moved_aside_and_brought_again(cloned: Path):
    place = place_of(cloned / ".dvc" / "cache", FILES["a.txt"])
    damage(place)
    (cloned / "a.txt").unlink()
    shown = make.assay(cloned, "checkout")
    assert shown.code == 255
    assert f"md5-dos2unix:{dvc_2.md5(FILES['a.txt'])} is damaged" in shown.err
    assert not place.exists()
    make.done(cloned, "pull")
    assert (cloned / "a.txt").read_bytes() == FILES["a.txt"]


def test_verify_reads_old_objects_here_and_on_a_remote(cloned: Path, tmp_path: Path):
    damage(place_of(cloned / ".dvc" / "cache", FILES["a.txt"]))
    shown = make.assay(cloned, "cache", "verify")
    assert f"md5-dos2unix:{dvc_2.md5(FILES['a.txt'])}" in shown.out
    assert_clean(cloned)
    damage(place_of(tmp_path / "store", FILES["d/crlf"]))
    shown = make.assay(cloned, "cache", "verify", "-r", "store")
    assert f"md5-dos2unix:{dvc_2.md5(FILES['d/crlf'])}" in shown.out
    assert place_of(tmp_path / "store", FILES["d/crlf"]).read_bytes() == FILES["d/crlf"]


def test_a_stage_that_dvc_2_ran_is_not_run_again(cloned: Path):
    make.done(cloned, "repro")
    assert make.git(cloned, "status", "--short") == ""
    (cloned / "clean.csv").unlink()
    make.done(cloned, "repro")  # from the cache: the command would write something else
    assert (cloned / "clean.csv").read_bytes() == FILES["clean.csv"]
    assert make.done(cloned, "status") == CLEAN
    make.write(cloned, {"a.txt": "2\n1\n"})
    make.done(cloned, "repro")
    assert (cloned / "clean.csv").read_bytes() == b"1\n2\n"
    assert (cloned / "dvc.lock").read_text().count("hash: md5") == 2
    assert make.done(cloned, "status", "sort") == CLEAN


def test_data_of_an_old_repository_are_listed_got_and_imported(old: Path, tmp_path: Path):
    new = make.project(tmp_path / "new")
    listed = json.loads(
        make.done(new, "list", str(old), "-R", "--dvc-only", "--json", "--show-hash")
    )
    assert {row["path"]: row["md5"] for row in listed}["d/crlf"] == dvc_2.md5(FILES["d/crlf"])
    make.done(new, "get", str(old), "d/crlf")
    assert (new / "crlf").read_bytes() == FILES["d/crlf"]
    make.done(new, "import", str(old), "d")
    record = (new / "d.dvc").read_text()
    assert "hash: md5" in record
    assert (new / "d" / "crlf").read_bytes() == FILES["d/crlf"]
    assert make.done(new, "status") == CLEAN


def test_links_into_the_old_cache_are_made_and_taken_away(cloned: Path):
    make.done(cloned, "config", "cache.type", "symlink")
    make.done(cloned, "checkout", "--relink")
    assert (cloned / "d" / "crlf").is_symlink()
    assert make.done(cloned, "status") == CLEAN
    make.done(cloned, "gc", "-w", "-f")
    assert (cloned / "d" / "crlf").read_bytes() == FILES["d/crlf"]
    make.done(cloned, "unprotect", "d")
    assert not (cloned / "d" / "crlf").is_symlink()
    assert (cloned / "d" / "crlf").read_bytes() == FILES["d/crlf"]


def test_many_files_come_and_go_as_few_do(tmp_path: Path):
    """Many are copied together, and looked up by listings."""
    files = {"a.txt": b"1\r\n", "clean.csv": b"3"}
    files |= {f"d/s{n % 7}/{n}": f"{n}\r\n".encode() * 20 for n in range(800)}
    old = dvc_2.project(tmp_path / "old", remote=tmp_path / "store", files=files)
    folder = clone(old, tmp_path / "clone")
    make.done(folder, "pull")
    assert {name: (folder / name).read_bytes() for name in files} == files
    assert objects(folder / ".dvc" / "cache") == objects(tmp_path / "store")
    assert_clean(folder)
    make.write(folder, {"d/s0/new": b"x\r\n"})
    make.done(folder, "add", "--no-profile", "d/s0/new")
    assert make.done(folder, "push") == "802 files pushed\n"  # all of a list have one kind of hash
    assert make.done(folder, "status", "d.dvc") == CLEAN
    make.git(folder, "checkout", "-q", "--", "d.dvc")
    make.done(folder, "checkout")
    assert {name: (folder / name).read_bytes() for name in files} == files
    assert not (folder / "d" / "s0" / "new").exists()


def test_imports_that_dvc_2_recorded_are_pulled_from_their_repository(old: Path, tmp_path: Path):
    """DVC 3.67 fails to pull a folder of theirs: it looks for its files by the other hash."""
    new = make.project(tmp_path / "new")
    commit = make.git(old, "rev-parse", "HEAD").strip()
    for name in ("a.txt", "d"):
        [row] = [line for line in (old / f"{name}.dvc").read_text().splitlines() if "md5" in line]
        text = (
            f"frozen: true\ndeps:\n- path: {name}\n  repo:\n    url: {old}\n"
            f"    rev_lock: {commit}\nouts:\n{row}\n  path: {name}\n"
        )
        make.write(new, {f"{name}.dvc": text})
    before = make.state(new)
    assert make.done(new, "pull").splitlines()[-1] == "2 files fetched and 4 files added"
    assert make.done(new, "status") == CLEAN
    assert {n: (new / n).read_bytes() for n in FILES if n != "clean.csv"} == {
        n: content for n, content in FILES.items() if n != "clean.csv"
    }
    assert {path: make.state(new)[path] for path in before} == before
