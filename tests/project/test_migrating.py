"""A project of DVC 2 becomes one of DVC 3, from its objects, and nothing of it is lost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from assay.objects import tree
from assay.project.migrating import migrate
from assay.project.workspace import Project
from tests import make


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def put(project: Path, oid: str, content: bytes) -> Path:
    path = project / ".dvc" / "cache" / oid[:2] / oid[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)
    return path


def test_objects_are_taken_over_by_link_and_named_by_their_bytes(project: Path):
    content = b"a\r\nb\r\n"
    old = put(project, md5(b"a\nb\n"), content)
    listed = json.dumps([{"md5": md5(b"a\nb\n"), "relpath": "x"}]).encode()
    put(project, f"{md5(listed)}.dir", listed)
    done = migrate(Project(project), records=False, dry=False)
    assert done.objects == 2
    cache = make.cache(project)
    assert cache.path(md5(content)).samefile(old)
    folder = tree.oid_of([tree.Entry("x", md5(content))])
    assert tree.read(cache, folder) == [tree.Entry("x", md5(content))]


def test_a_damaged_object_is_named_and_not_taken_over(project: Path):
    path = put(project, md5(b"good"), b"bad")
    done = migrate(Project(project), records=False, dry=False)
    assert done.damaged == [str(path)]
    assert list(make.cache(project)) == []


def test_a_record_whose_content_is_not_here_stays_as_it_is(project: Path):
    text = f"outs:\n- md5: {md5(b'gone')}\n  size: 4\n  path: gone\n"
    make.write(project, {"gone.dvc": text})
    shown = make.assay(project, "cache", "migrate", "--dvc-files")
    assert "warning: 'gone' stays as it is" in shown.err
    assert (project / "gone.dvc").read_text() == text


def test_a_record_is_renewed_from_the_file_where_the_cache_has_no_object(project: Path):
    text = f"outs:\n- md5: {md5(b'x')}\n  size: 3\n  path: a\n"
    make.write(project, {"a.dvc": f"# mine\n{text}", "a": b"x\r\n"})
    make.write(project, {"a.dvc": f"# mine\n{text.replace(md5(b'x'), md5(b'x' + bytes([10])))}"})
    done = migrate(Project(project), records=True, dry=False)
    assert done.records == ["a.dvc"]
    after = (project / "a.dvc").read_text()
    assert after.startswith("# mine\n")
    assert md5(b"x\r\n") in after
    assert after.endswith("  hash: md5\n")


def test_dry_changes_nothing(project: Path):
    put(project, md5(b"a"), b"a")
    make.write(project, {"a.dvc": f"outs:\n- md5: {md5(b'a')}\n  size: 1\n  path: a\n"})
    before = make.snapshot(project)
    done = migrate(Project(project), records=True, dry=True)
    assert (done.objects, done.records) == (1, ["a.dvc"])
    assert make.snapshot(project) == before


def test_twice_is_as_good_as_once(project: Path):
    put(project, md5(b"a"), b"a")
    make.write(project, {"a.dvc": f"outs:\n- md5: {md5(b'a')}\n  size: 1\n  path: a\n"})
    migrate(Project(project), records=True, dry=False)
    before = make.snapshot(project)
    assert migrate(Project(project), records=True, dry=False).records == []
    assert make.snapshot(project) == before
