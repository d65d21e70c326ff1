"""A remote with `version_aware`: files under their own names, records that say which version."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from assay.project import yaml12
from tests import make
from tests.objects.remotes import servers

ENABLED = (
    b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Status>Enabled</Status></VersioningConfiguration>"
)
FILES = {"a.txt": "hello\n", "d/x": "x\n", "d/sub/y": "y\n", "run.sh": "#!\n"}
PIPELINE = """\
stages:
  copy:
    cmd: mkdir -p o && cp a.txt o/one && cp a.txt two
    deps: [a.txt]
    outs: [o, two]
"""


@pytest.fixture
def bucket(moto: str, tmp_path: Path) -> str:
    """The address of a bucket that keeps versions."""
    name = f"b{abs(hash(str(tmp_path))) % 10**10}"
    servers.ask("PUT", f"{moto}/{name}")
    servers.ask("PUT", f"{moto}/{name}?versioning", ENABLED)
    return f"{moto}/{name}"


def use(project: Path, bucket: str, **options: str) -> Path:
    service, _, name = bucket.rpartition("/")
    make.done(project, "remote", "add", "-d", "cloud", f"s3://{name}/top")
    every = {**servers.KEYS, "endpointurl": service} | (options or {"version_aware": "true"})
    for key, value in every.items():
        make.done(project, "remote", "modify", "cloud", key, value)
    return project


@pytest.fixture
def shared(project: Path, bucket: str) -> Path:
    """A project with data and a pipeline that ran, whose remote is that bucket."""
    use(make.write(project, FILES | {"dvc.yaml": PIPELINE}), bucket)
    (project / "run.sh").chmod(0o755)
    make.done(project, "add", "--no-profile", "a.txt", "d", "run.sh")
    make.commit(project)
    make.done(project, "repro")
    make.commit(project)
    return project


def row(project: Path, file: str) -> dict[str, Any]:
    [found] = yaml12.load((project / file).read_text(), where=file)["outs"]
    return dict(found)


def there(bucket: str) -> list[str]:
    """Return the keys of a bucket, one for each version that it has."""
    answer = servers.ask("GET", f"{bucket}?versions").decode()
    return sorted(re.findall(r"<Version>.*?<Key>(.*?)</Key>", answer, re.DOTALL))


def emptied(project: Path) -> Path:
    shutil.rmtree(project / ".dvc" / "cache")
    for name in ("a.txt", "d", "run.sh", "o", "two"):
        path = project / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return project


def test_files_go_under_their_own_names_and_the_records_say_which_version(shared, bucket):
    shown = make.assay(shared, "push")
    assert (shown.code, shown.out) == (0, "6 files pushed\n")
    assert "git add a.txt.dvc d.dvc dvc.lock run.sh.dvc" in shown.err
    paths = ["a.txt", "d/sub/y", "d/x", "o/one", "run.sh", "two"]
    assert there(bucket) == [f"top/{path}" for path in paths]
    out = row(shared, "a.txt.dvc")
    assert list(out) == ["md5", "size", "hash", "path", "cloud"]
    assert out["cloud"]["cloud"]["etag"] == out["md5"]
    assert row(shared, "run.sh.dvc")["isexec"] is True
    folder = row(shared, "d.dvc")
    assert list(folder) == ["hash", "path", "files"]
    assert [file["relpath"] for file in folder["files"]] == ["sub/y", "x"]
    assert [file["size"] for file in folder["files"]] == [2, 2]
    assert all(file["cloud"]["cloud"]["version_id"] for file in folder["files"])
    lock = yaml12.load((shared / "dvc.lock").read_text(), where="")["stages"]["copy"]
    assert list(lock["outs"][0]) == ["path", "hash", "files"]
    assert list(lock["outs"][1]) == ["path", "hash", "md5", "size", "cloud"]
    assert "cloud" not in lock["deps"][0]


def test_what_was_pushed_is_pulled_and_nothing_is_changed_by_it(shared, bucket):
    make.done(shared, "push")
    records = {p: p.read_bytes() for p in (*shared.glob("*?.dvc"), shared / "dvc.lock")}
    assert make.done(shared, "push") == "Everything is up to date.\n"
    make.done(emptied(shared), "pull")
    assert {name: (shared / name).read_text() for name in FILES} == FILES
    assert (shared / "o" / "one").read_text() == "hello\n"
    assert "up to date" in make.done(shared, "status")
    make.done(shared, "repro")
    assert make.done(shared, "push") == "Everything is up to date.\n"
    assert {p: p.read_bytes() for p in records} == records
    assert len(there(bucket)) == 6


def test_a_clone_pulls_each_commit_as_it_was(shared, bucket, tmp_path):
    make.done(shared, "push")
    first = make.commit(shared, "pushed")
    make.write(shared, {"a.txt": "bye\n", "d/x": "xx\n", "d/new": "new\n"})
    (shared / "d" / "sub" / "y").unlink()
    make.done(shared, "add", "--no-profile", "a.txt", "d")
    files = {file["relpath"]: file for file in row(shared, "d.dvc")["files"]}
    assert files == {name: {"relpath": name, "md5": files[name]["md5"]} for name in ("new", "x")}
    assert make.done(shared, "push") == "3 files pushed\n"
    make.commit(shared, "changed")
    assert there(bucket).count("top/a.txt") == there(bucket).count("top/d/x") == 2
    assert "top/d/sub/y" in there(bucket)  # the first commit names it
    make.git(tmp_path, "clone", "-q", str(shared), "clone")
    clone = tmp_path / "clone"
    make.done(clone, "pull")
    assert (clone / "d" / "x").read_text() == "xx\n"
    make.git(clone, "checkout", "-q", first)
    make.done(clone, "pull")
    assert (clone / "a.txt").read_text() == "hello\n"
    assert (clone / "d" / "sub" / "y").read_text() == "y\n"
    assert not (clone / "d" / "new").exists()
    shutil.rmtree(clone / ".dvc" / "cache")
    make.done(clone, "fetch", "-A")
    assert len(list(make.cache(clone))) == 10


def test_a_file_that_did_not_change_keeps_its_version(shared, bucket):
    make.done(shared, "push")
    before = {file["relpath"]: file for file in row(shared, "d.dvc")["files"]}
    make.write(shared, {"d/x": "xx\n"})
    make.done(shared, "add", "--no-profile", "d")
    after = {file["relpath"]: file for file in row(shared, "d.dvc")["files"]}
    assert after["sub/y"] == before["sub/y"]
    assert "cloud" not in after["x"]
    assert make.done(shared, "push") == "1 file pushed\n"
    make.done(shared, "move", "d", "e")
    assert "cloud" not in (shared / "e.dvc").read_text()
    make.done(shared, "push")
    assert "top/e/sub/y" in there(bucket)


def test_a_record_that_lost_its_versions_finds_them_again(shared, bucket):
    """As after a push that was killed before it wrote what it had learnt."""
    make.done(shared, "push")
    pushed = (shared / "d.dvc").read_text()
    make.git(shared, "checkout", "-q", "d.dvc", "a.txt.dvc", "dvc.lock", "run.sh.dvc")
    assert make.done(shared, "push") == "Everything is up to date.\n"
    assert yaml12.load((shared / "d.dvc").read_text(), where="") == yaml12.load(pushed, where="")
    assert len(there(bucket)) == 6


def test_a_part_of_a_folder_moves_alone(shared, bucket):
    make.done(shared, "push", "d/x")
    assert there(bucket) == ["top/d/x"]
    files = {file["relpath"]: "cloud" in file for file in row(shared, "d.dvc")["files"]}
    assert files == {"sub/y": False, "x": True}
    make.done(shared, "push")
    shutil.rmtree(shared / ".dvc" / "cache")
    make.done(shared, "fetch", "d/sub")
    assert not make.cache(shared).has(next(f["md5"] for f in row(shared, "d.dvc")["files"][1:]))


def test_what_was_never_pushed_or_is_gone_is_named(shared, bucket):
    shown = make.assay(emptied(shared), "pull")
    assert shown.code == 255
    assert "neither here nor there" in shown.err
    assert "(a.txt)" in shown.err


def test_a_version_that_its_owner_ended_is_named(shared, bucket):
    make.done(shared, "push")
    version = row(shared, "run.sh.dvc")["cloud"]["cloud"]["version_id"]
    servers.ask("DELETE", f"{bucket}/top/run.sh?versionId={version}")
    shown = make.assay(emptied(shared), "pull")
    assert shown.code == 255
    assert "the file is not on the remote" in shown.err
    assert "top/run.sh" in shown.err


def test_other_bytes_than_recorded_are_not_taken(shared, bucket):
    make.done(shared, "push")
    path = shared / "a.txt.dvc"
    other = row(shared, "run.sh.dvc")["cloud"]["cloud"]["version_id"]
    servers.ask("PUT", f"{bucket}/top/a.txt", b"other\n")
    answer = servers.ask("GET", f"{bucket}?versions").decode()
    newest = re.findall(r"<Version>.*?<Key>top/a.txt</Key><VersionId>(.*?)<", answer, re.DOTALL)[0]
    mine = row(shared, "a.txt.dvc")["cloud"]["cloud"]["version_id"]
    assert len({other, newest, mine}) == 3
    path.write_text(path.read_text().replace(mine, newest))
    shown = make.assay(emptied(shared), "pull", "a.txt")
    assert shown.code == 255
    assert "1 object damaged" in shown.err
    assert not (shared / "a.txt").exists()


def test_a_bucket_without_versions_is_refused_before_much_is_sent(project, moto):
    servers.ask("PUT", f"{moto}/without")
    use(make.write(project, FILES), f"{moto}/without")
    make.done(project, "add", "--no-profile", "d", "a.txt")
    before = make.state(project)
    shown = make.assay(project, "push")
    assert shown.code == 255
    assert "remote 'cloud': the bucket keeps no versions" in shown.err
    assert "put-bucket-versioning" in shown.err
    assert make.state(project) == before


UNFIT = [
    (["push", "-a"], 2, "other commits than the one that is checked out"),
    (["push", "--run-cache"], 255, "not possible with a remote that keeps files"),
    (["status", "-c"], 255, "not possible with a remote that keeps files"),
    (["gc", "-w", "-c", "-f"], 255, "not possible with a remote that keeps files"),
    (["import-url", "../x", "--to-remote"], 255, "not possible with a remote that keeps files"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), UNFIT, ids=lambda v: str(v)[:30])
def test_what_such_a_remote_cannot_do_is_refused_and_nothing_changes(
    shared, bucket, tmp_path, arguments, code, words
):
    make.write(tmp_path, {"x": "x\n"})
    before = make.state(shared)
    shown = make.assay(shared, *arguments)
    assert shown.code == code
    assert words in shown.err
    assert "hint: " in shown.err
    assert make.state(shared) == before
    assert there(bucket) == []


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("../store", {"version_aware": "true"}, "needs a bucket of S3, and this is 'a folder'"),
        ("gs://b/x", {"worktree": "true"}, "needs a bucket of S3, and this is 'gs'"),
        (
            "s3://b/x",
            {"worktree": "true", "version_aware": "false"},
            "'worktree' needs 'version_aware', which is false",
        ),
    ],
)
def test_a_remote_that_cannot_keep_versions_is_refused(project, url, options, words):
    make.write(project, FILES)
    make.done(project, "add", "--no-profile", "d")
    make.done(project, "remote", "add", "-d", "st", url)
    for name, value in options.items():
        make.done(project, "remote", "modify", "st", name, value)
    shown = make.assay(project, "push")
    assert shown.code == 255
    assert words in shown.err
    assert "hint: " in shown.err


BROKEN = [
    ("relpath: x", "relpath: ../../x", "a path that leaves its folder"),
    ("relpath: x", "relpath: sub", "is a file and a folder"),
    ("relpath: x", "relpaht: x", "unknown key 'relpaht'"),
    ("  - relpath: x\n    md5: ", "  - relpath: x\n    md5: nonsense", "is not an MD5"),
    ("cloud:\n      cloud:", "cloud:\n      other: {}\n      cloud:", "more than one remote"),
]


@pytest.mark.parametrize(("old", "new", "words"), BROKEN, ids=lambda v: str(v)[:20])
def test_a_broken_record_is_named_and_nothing_is_written(shared, bucket, old, new, words):
    make.done(shared, "push")
    path = shared / "d.dvc"
    path.write_text(path.read_text().replace(old, new))
    before = make.state(shared)
    shown = make.assay(shared, "pull")
    assert shown.code == 255
    assert words in shown.err
    assert "d.dvc" in shown.err
    assert make.state(shared) == before


@pytest.fixture
def source(moto: str, project: Path, bucket: str) -> Path:
    """A project that names a bucket with files as 'source'."""
    for name in ("f", "dir/p", "dir/q/r"):
        servers.ask("PUT", f"{bucket}/in/{name}", name.encode())
    make.done(project, "remote", "add", "source", f"s3://{bucket.rpartition('/')[2]}/in")
    for key, value in {**servers.KEYS, "endpointurl": moto}.items():
        make.done(project, "remote", "modify", "source", key, value)
    return project


def test_an_import_takes_versions_from_the_bucket_and_pulls_the_same_ones(source, bucket):
    for name in ("f", "dir"):
        make.done(source, "import-url", f"remote://source/{name}", "--version-aware")
    record = yaml12.load((source / "dir.dvc").read_text(), where="")
    assert list(record["deps"][0]) == ["hash", "path", "fs_config", "files"]
    assert record["outs"][0]["push"] is False
    for name in ("f", "dir/p"):
        servers.ask("PUT", f"{bucket}/in/{name}", b"other\n")
    shutil.rmtree(source / "dir")
    (source / "f").unlink()
    shutil.rmtree(source / ".dvc" / "cache")
    make.done(source, "pull")
    assert [(source / name).read_text() for name in ("f", "dir/p", "dir/q/r")] == [
        "f", "dir/p", "dir/q/r",
    ]  # fmt: skip
    assert make.done(source, "update", "f.dvc", "dir.dvc").count("Importing") == 2
    assert [(source / name).read_text() for name in ("f", "dir/p")] == ["other\n"] * 2
    assert make.done(source, "update", "f.dvc", "dir.dvc").count("skipping") == 2


def test_an_imported_version_that_is_gone_is_named(source, bucket):
    make.done(source, "import-url", "remote://source/f", "--version-aware")
    [dep] = yaml12.load((source / "f.dvc").read_text(), where="")["deps"]
    servers.ask("DELETE", f"{bucket}/in/f?versionId={dep['version_id']}")
    (source / "f").unlink()
    shutil.rmtree(source / ".dvc" / "cache")
    shown = make.assay(source, "pull")
    assert shown.code == 255
    assert "the file is not on the remote" in shown.err
    assert not (source / "f").exists()


NOT_THERE = [
    (["../x"], 2, "a path on this machine keeps no versions"),
    (["remote://source/f", "--to-remote"], 2, "'--version-aware' leaves them where they are"),
    (["http://127.0.0.1:1/f"], 255, "needs a bucket of S3, and this is 'http'"),
    (["remote://source/nope"], 255, "there is nothing at this address"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), NOT_THERE, ids=lambda v: str(v)[:30])
def test_what_has_no_versions_is_refused_and_nothing_changes(
    source, tmp_path, arguments, code, words
):
    make.write(tmp_path, {"x": "x\n"})
    before = make.state(source)
    shown = make.assay(source, "import-url", "--version-aware", *arguments)
    assert shown.code == code
    assert words in shown.err
    assert make.state(source) == before


def test_another_repository_has_its_data_in_such_a_bucket(shared, bucket, tmp_path):
    make.done(shared, "push")
    make.commit(shared, "pushed")
    make.git(tmp_path, "clone", "-q", str(shared), "other")
    taker = make.project(tmp_path / "taker")
    make.done(taker, "import", "../other", "d")
    make.done(taker, "get", (tmp_path / "other").as_uri(), "o/one")
    assert (taker / "d" / "sub" / "y").read_text() == "y\n"
    assert (taker / "one").read_text() == "hello\n"
    listed = make.done(taker, "list", "../other", "d", "-R", "--size")
    assert listed.split() == ["2", "sub/y", "2", "x"]
    shown = make.done(taker, "get", "../other", "a.txt", "--show-url")
    assert shown == f"s3://{bucket.rpartition('/')[2]}/top/a.txt\n"


@pytest.fixture
def edited(project: Path, bucket: str) -> Path:
    """A project whose data were pushed to a worktree remote, and then changed there by others."""
    use(make.write(project, FILES), bucket, worktree="true")
    make.done(project, "add", "--no-profile", "a.txt", "d", "run.sh")
    make.done(project, "push")
    make.commit(project)
    servers.ask("PUT", f"{bucket}/top/a.txt", b"from afar\n")
    servers.ask("PUT", f"{bucket}/top/d/z", b"z\n")
    return project


def test_what_others_wrote_to_a_worktree_is_taken_over(edited, bucket, tmp_path):
    before = row(edited, "d.dvc")["files"]
    assert make.done(edited, "update", "a.txt.dvc", "d.dvc").count("Importing") == 2
    assert (edited / "a.txt").read_text() == "from afar\n"
    assert (edited / "d" / "z").read_text() == "z\n"
    assert row(edited, "d.dvc")["files"][:2] == before
    assert make.done(edited, "update", "a.txt.dvc", "d.dvc").count("skipping") == 2
    assert make.done(edited, "push") == "Everything is up to date.\n"
    make.commit(edited)
    make.git(tmp_path, "clone", "-q", str(edited), "clone")
    make.done(tmp_path / "clone", "pull")
    assert (tmp_path / "clone" / "a.txt").read_text() == "from afar\n"


def test_data_that_are_not_saved_are_not_overwritten_by_what_others_wrote(edited):
    (edited / "a.txt").write_text("mine\n")
    before = make.state(edited)
    shown = make.assay(edited, "update", "a.txt.dvc")
    assert shown.code == 1
    assert "--force" in shown.err
    assert make.state(edited) == before
    make.done(edited, "update", "a.txt.dvc", "--force")
    assert (edited / "a.txt").read_text() == "from afar\n"


@pytest.mark.parametrize("option", ["--rev=x", "--no-download", "--to-remote"])
def test_an_option_for_imports_is_refused_for_data_of_the_project(edited, option):
    before = make.state(edited)
    shown = make.assay(edited, "update", "a.txt.dvc", option)
    assert shown.code == 2
    assert "is for imports" in shown.err
    assert make.state(edited) == before


def test_data_that_were_never_pushed_there_have_nothing_to_follow(edited):
    make.write(edited, {"new": "n\n"})
    make.done(edited, "add", "--no-profile", "new")
    shown = make.assay(edited, "update", "new.dvc")
    assert shown.code == 1
    assert "there is nothing to follow" in shown.err


def test_a_collection_keeps_what_the_records_name_also_before_the_first_pull(shared, tmp_path):
    make.done(shared, "push")
    make.commit(shared, "pushed")
    make.git(tmp_path, "clone", "-q", str(shared), "clone")
    clone = tmp_path / "clone"
    assert "Nothing to remove" in make.done(clone, "gc", "-w", "-f")
    make.done(clone, "pull")
    objects = set(make.cache(clone))
    assert "Nothing to remove" in make.done(clone, "gc", "-w", "-f")
    make.write(clone, {"d/x": "xx\n"})
    make.done(clone, "add", "--no-profile", "d")
    make.done(clone, "gc", "-w", "-f")
    left = set(make.cache(clone))
    assert len(objects - left) == 2  # the list as it was, and the file that was in it
    assert "up to date" in make.done(clone, "status")
    assert "not in cache" not in make.done(clone, "status")


def test_a_pipeline_is_reproduced_from_such_a_bucket(shared, bucket):
    make.done(shared, "push")
    make.commit(shared, "pushed")
    emptied(shared)
    shown = make.done(shared, "repro", "--pull")
    assert "Running stage" not in shown
    assert (shared / "o" / "one").read_text() == "hello\n"


def test_a_run_whose_data_are_only_there_says_what_to_type(shared, bucket):
    make.done(shared, "push")
    make.commit(shared, "pushed")
    shutil.rmtree(shared / ".assay" / "objects" / "md5", ignore_errors=True)
    [run] = json.loads(make.done(shared, "runs", "list", "--json"))
    emptied(shared)
    shown = make.assay(shared, "reproduce", run["id"])
    assert shown.code == 255
    assert "assay fetch -A" in shown.err
    make.done(shared, "fetch", "-A")
    make.done(shared, "reproduce", run["id"])
