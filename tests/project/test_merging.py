"""Two versions of a record are merged, or a person is asked: nothing is chosen silently."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.objects import tree
from assay.objects.cache import Cache
from assay.objects.tree import Entry
from assay.project import missing_lists, workspace
from assay.project.merging import Conflict, merge_entries, merge_files
from tests import make

OIDS = ["1" * 32, "2" * 32, "3" * 32]
SIDE = st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e"]), st.sampled_from(OIDS))


def entries(side: dict[str, str]) -> list[Entry]:
    return [Entry(path, oid) for path, oid in sorted(side.items())]


@given(SIDE, SIDE, SIDE)
def test_a_merge_has_the_changes_of_both_sides_and_no_others(base, ours, theirs):
    try:
        merged = {e.relpath: e.oid for e in merge_entries(*map(entries, (base, ours, theirs)))}
    except Conflict:
        assert any(
            ours.get(p) != theirs.get(p) and base.get(p) not in (ours.get(p), theirs.get(p))
            for p in {*ours, *theirs}
        )
        return
    for path in {*base, *ours, *theirs}:
        changed = [s.get(path) for s in (ours, theirs) if s.get(path) != base.get(path)]
        assert merged.get(path) == (changed[0] if changed else base.get(path))


@given(SIDE, SIDE, SIDE)
def test_the_order_of_the_sides_does_not_matter(base, ours, theirs):
    def outcome(*sides):
        try:
            return merge_entries(*map(entries, sides))
        except Conflict as conflict:
            return conflict.what

    assert outcome(base, ours, theirs) == outcome(base, theirs, ours)


def test_a_file_of_one_side_that_is_a_folder_of_the_other_is_a_conflict():
    with pytest.raises(Conflict, match="a/b"):
        merge_entries([], [Entry("a", OIDS[0])], [Entry("a/b", OIDS[1])])


def record(folder: Path, name: str, text: str) -> Path:
    return make.write(folder, {name: text}) / name


def row(oid: str, *, more: str = "") -> str:
    return f"outs:\n- md5: {oid}\n  hash: md5\n  path: d\n{more}"


def test_the_result_has_size_and_count_and_keeps_comments(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    one, two, three = (Entry(name, cache.add(name.encode())) for name in ("a", "bb", "ccc"))
    oids = [tree.add(cache, files) for files in ([one], [one, two], [one, three])]
    our = record(tmp_path, "our", f"# mine\n{row(oids[1], more='  desc: why')}\n")
    merge_files(
        cache,
        ancestor=record(tmp_path, "base", row(oids[0], more="  desc: why")),
        our=our,
        their=record(tmp_path, "their", row(oids[2], more="  desc: why")),
    )
    merged = tree.oid_of([one, two, three])
    text = our.read_text()
    assert text.startswith("# mine\n")
    assert f"md5: {merged}\n" in text
    assert "size: 6\n" in text
    assert "nfiles: 3\n" in text
    assert "desc: why\n" in text
    assert tree.read(cache, merged) == [one, two, three]


def test_of_two_files_the_one_that_changed_is_taken(tmp_path: Path):
    base, same, new = (record(tmp_path, n, row(o)) for n, o in zip("abc", [*"112"], strict=True))
    merge_files(Cache(tmp_path / "cache"), ancestor=base, our=same, their=new)
    assert same.read_text() == new.read_text()


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        (row(OIDS[1]), row(OIDS[2]), "two files"),
        (row(OIDS[1], more="  desc: x\n"), row(OIDS[2]), "different options"),
        (f"{row(OIDS[1])}deps:\n- path: x\n", f"{row(OIDS[2])}deps:\n- path: x\n", "import"),
        ("outs: []\n", row(OIDS[2]), "not a record of one output"),
    ],
)
def test_what_cannot_be_merged_stays_as_ours_with_the_next_step(tmp_path, ours, theirs, says):
    our = record(tmp_path, "our", ours)
    with pytest.raises(Conflict, match=says):
        merge_files(
            Cache(tmp_path / "cache"),
            ancestor=record(tmp_path, "base", row(OIDS[0])),
            our=our,
            their=record(tmp_path, "their", theirs),
        )
    assert our.read_text() == ours


def test_a_list_that_is_not_here_is_named(tmp_path: Path):
    with pytest.raises(Error, match="list of files of ours") as caught:
        merge_files(
            Cache(tmp_path / "cache"),
            ancestor=record(tmp_path, "base", ""),
            our=record(tmp_path, "our", row(f"{OIDS[0]}.dir")),
            their=record(tmp_path, "their", row(f"{OIDS[1]}.dir")),
        )
    assert "assay fetch" in (caught.value.hint or "")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """The clone of one who added `d/n2`; in `theirs` and on the remotes somebody added `d/n1`."""
    root = make.project(tmp_path / "theirs")
    make.done(root, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(root, {"d/a": "a", ".gitattributes": "*.dvc merge=dvc\n"})
    make.done(root, "add", "d")
    make.commit(root)
    make.done(root, "push")
    make.git(tmp_path, "clone", "-q", str(root), "ours")
    clone = tmp_path / "ours"
    make.done(clone, "install")
    (clone / ".git" / "hooks" / "post-checkout").unlink()
    make.done(clone, "pull")
    for folder, name in ((root, "n1"), (clone, "n2")):
        make.write(folder, {f"d/{name}": name})
        make.done(folder, "commit")
        make.git(folder, "commit", "-q", "-a", "-m", name)
    return clone


def pulled(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["git", "pull", "-q", "--no-rebase", "--no-edit"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def test_the_list_of_files_of_the_other_side_comes_from_the_remote(ours: Path, tmp_path: Path):
    make.done(tmp_path / "theirs", "push")
    done = pulled(ours)
    assert done.returncode == 0, done.stderr
    make.done(ours, "pull")
    assert sorted(path.name for path in (ours / "d").iterdir()) == ["a", "n1", "n2"]


def test_without_the_list_there_are_markers_and_the_way_out_works(ours: Path, tmp_path: Path):
    done = pulled(ours)
    assert done.returncode == 1
    assert "the list of files of theirs is not in the cache" in done.stderr
    assert "git merge --abort" in done.stderr
    assert "assay fetch --all-commits" in done.stderr
    text = (ours / "d.dvc").read_text()
    assert "<<<<<<< ours\n" in text
    assert ">>>>>>> theirs\n" in text
    assert make.assay(ours, "status").code == 255
    make.done(tmp_path / "theirs", "push")
    make.git(ours, "merge", "--abort")
    make.done(ours, "fetch", "--all-commits")
    assert pulled(ours).returncode == 0


def test_a_conflict_leaves_markers_and_names_the_file(ours: Path, tmp_path: Path):
    for folder, text in ((tmp_path / "theirs", "1"), (ours, "2")):
        make.write(folder, {"my d/f": text})
        make.done(folder, "add", "my d/f")
        make.commit(folder)
    make.done(tmp_path / "theirs", "push")
    done = pulled(ours)
    assert done.returncode == 1
    assert "git checkout --ours 'my d/f.dvc'" in done.stderr
    assert "<<<<<<< ours\n" in (ours / "my d" / "f.dvc").read_text()
    make.git(ours, "checkout", "--ours", "my d/f.dvc")
    make.done(ours, "status", "my d/f.dvc")


def test_a_remote_that_does_not_answer_is_not_waited_for(ours: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        make.done(ours, "remote", "add", "-d", "web", url)
        project = workspace.find(ours)
        missing_lists.bring(project, f"{OIDS[0]}.dir", remote=None, seconds=1)
    assert not project.cache.has(f"{OIDS[0]}.dir")
