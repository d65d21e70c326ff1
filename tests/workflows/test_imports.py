"""`import` and `import-url`: what is taken, and that a refusal changes nothing."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest

from assay.project import dvcfile, workspace
from assay.project.grammar import Source
from tests import make, stages
from tests.objects.remotes import servers
from tests.workflows import others


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return others.repository(tmp_path / "other", store=tmp_path / "store")


def origin(project: Path, name: str) -> dvcfile.Origin:
    found = dvcfile.origin(Source.of(project / name))
    assert found is not None
    return found


def test_an_import_takes_the_last_commit_and_not_what_lies_beside_it(project, other):
    (other / "s.csv").write_text("dirty\n")
    make.done(other, "add", "--no-profile", "s.csv")
    make.done(project, "import", "../other", "s.csv")
    assert (project / "s.csv").read_text() == "x,y\n3,4\n"
    assert origin(project, "s.csv.dvc").rev_lock == make.git(other, "rev-parse", "HEAD").strip()


def test_data_come_from_the_remote_where_the_other_cache_is_gone(project, other):
    shutil.rmtree(other / ".dvc" / "cache")
    make.done(project, "import", "../other", "d")
    assert (project / "d" / "sub" / "b").read_text() == "22\n"


def test_a_damaged_object_there_is_passed_by_for_the_good_one_on_the_remote(project, other):
    stages.damage(stages.object_of(other, "b026324c6904b2a9cb4b88d6d61c81d1"))
    make.done(project, "import", "../other", "d/a")
    assert (project / "a").read_text() == "1\n"


def test_the_other_repository_is_not_written_to(project, other):
    before = make.snapshot(other, without=())
    make.done(project, "import", "../other", "d", "--rev", "v1")
    make.done(project, "import", "../other", "code")
    make.done(project, "update", "d.dvc")
    make.done(project, "get", "../other", "d", "-o", "got")
    make.done(project, "list", "../other", "-R")
    assert make.snapshot(other, without=()) == before


def test_an_address_that_git_can_clone_works_and_is_fetched_once(project, other, tmp_path):
    url = other.as_uri()
    make.done(project, "import", url, "d")
    make.done(project, "import", url, "code/x.py", "--rev", "v1")
    assert (project / "d" / "a").read_text() == "1\n"
    clones = [p for p in (project / ".assay" / "clones").iterdir() if p.is_dir()]
    assert len(clones) == 1
    commit = origin(project, "d.dvc").rev_lock
    other.rename(tmp_path / "away")
    shutil.rmtree(project / "d")
    make.done(project, "list", url, "--rev", str(commit))  # the commit is known: nobody is asked


def test_a_bare_repository_is_cloned(project, other, tmp_path):
    make.git(tmp_path, "clone", "-q", "--bare", str(other), "bare.git")
    make.done(project, "import", "../bare.git", "s.csv")
    assert (project / "s.csv").read_text() == "x,y\n3,4\n"


def test_a_repository_without_dvc_gives_its_files(project, tmp_path):
    plain = make.write(make.repository(tmp_path / "plain"), {"a/b.txt": "b", "top.txt": "t"})
    (plain / "a" / "link").symlink_to("../top.txt")
    make.commit(plain)
    make.done(project, "import", "../plain", "a")
    assert (project / "a" / "b.txt").read_text() == "b"
    assert (project / "a" / "link").read_text() == "t"
    assert not (project / "a" / "link").is_symlink()


def test_a_link_that_leads_out_of_the_repository_is_refused(project, tmp_path):
    plain = make.repository(tmp_path / "plain")
    (plain / "out").symlink_to("../secret")
    (tmp_path / "secret").write_text("s")
    make.commit(plain)
    shown = make.assay(project, "import", "../plain", "out")
    assert shown.code == 255
    assert "'out' is a link to something that is not in the repository" in shown.err


def test_a_project_inside_the_other_repository_is_found(project, tmp_path):
    plain = make.repository(tmp_path / "plain")
    inner = make.write(make.project(tmp_path / "inner"), {"data.txt": "inner\n"})
    make.done(inner, "add", "--no-profile", "data.txt")
    shutil.rmtree(inner / ".git")
    shutil.move(inner, plain / "sub")
    make.commit(plain)
    make.done(project, "import", "../plain", "sub/data.txt")
    assert (project / "data.txt").read_text() == "inner\n"
    assert "sub/data.txt" in make.done(project, "list", "../plain", "-R")


def test_the_data_of_imports_are_not_pushed(project, other, tmp_path):
    make.done(project, "import", "../other", "d")
    make.done(project, "import-url", "../other/s.csv")
    declared = {s.address: s for s in workspace_stages(project)}
    assert not declared["d.dvc"].outs[0].push
    assert declared["s.csv.dvc"].outs[0].push


def workspace_stages(project: Path):
    from assay.project import definition

    return definition.read(workspace.find(project)).data


REFUSED = [
    (["../other", "nope"], 255, "the repository has no 'nope'"),
    (["../other", "dd"], 255, "did you mean 'd'?"),
    (["../other", "../x"], 255, "leads out of the repository"),
    (["../other", "/etc/passwd"], 255, "leads out of the repository"),
    (["../other", "d", "--rev", "nope"], 255, "the repository has no revision 'nope'"),
    (["../other", "d", "--rev=--help"], 255, "the repository has no revision '--help'"),
    (["../nope", "d"], 255, "there is no such folder"),
    (["file:///nope/at/all", "d"], 255, "git cannot read the repository"),
    (["--upload-pack=x:y", "d"], 2, "No such option"),
    (["../other", "d", "-o", "../out"], 2, "the path is outside the project"),
    (["../other", "d", "-o", "mine"], 1, "there is something here already"),
    (["../other", "d", "-o", "tracked.txt"], 1, "there is something here already"),
    (["../other", "d", "-o", "gone.txt"], 1, "this is tracked already, by 'gone.txt.dvc'"),
    (["../other", "d", "-o", "folder/inner"], 1, "overlaps with 'folder'"),
    (["../other", "d", "-o", "x.dvc"], 2, "a '.dvc' file is a record"),
    (["../other", "."], 2, "no name of its own"),
    (["../other", "d", "--no-exec", "--no-download"], 2, "choose one"),
    (["../other", "d", "--remote", "nope"], 255, "has no remote 'nope'"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), REFUSED, ids=lambda v: str(v)[:50])
def test_what_cannot_be_imported_is_refused_and_nothing_changes(
    project, other, arguments, code, words
):
    make.write(project, {"mine": "m", "tracked.txt": "t", "gone.txt": "g", "folder/f": "f"})
    make.done(project, "add", "--no-profile", "tracked.txt", "gone.txt", "folder")
    (project / "gone.txt").unlink()
    if "--remote" in arguments:
        shutil.rmtree(other / ".dvc" / "cache")
    before = make.state(project)
    shown = make.assay(project, "import", *arguments)
    assert shown.code == code, shown
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert make.state(project) == before


def test_data_that_nobody_has_any_more_are_named(project, other, tmp_path):
    shutil.rmtree(other / ".dvc" / "cache")
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").mkdir()
    before = make.state(project)
    shown = make.assay(project, "import", "../other", "s.csv")
    assert shown.code == 255
    assert "1 object neither in its cache nor on its remote: md5:" in shown.err
    assert make.state(project) == before


def test_a_repository_without_a_commit_is_refused(project, tmp_path):
    make.repository(tmp_path / "empty")
    shown = make.assay(project, "import", "../empty", "a")
    assert "the repository has no commit yet" in shown.err


def test_force_overwrites_and_follows_the_new_source(project, other):
    make.done(project, "import", "../other", "s.csv")
    (project / "s.csv").write_text("mine, not saved")
    make.done(project, "import", "../other", "s.csv", "--rev", "v1", "--force")
    assert (project / "s.csv").read_text() == "x,y\n1,2\n"
    assert origin(project, "s.csv.dvc").rev == "v1"


def test_an_import_from_a_path_is_recorded_relative_to_its_own_folder(project, other):
    (project / "sub").mkdir()
    make.done(project, "import-url", "../other/s.csv", "sub")
    assert origin(project, "sub/s.csv.dvc").path == "../../other/s.csv"
    make.done(project, "update", "sub/s.csv.dvc")


def test_data_from_a_server_are_followed_by_its_etag(project, other):
    with others.served(other, {"ETag": '"one"'}) as url:
        make.done(project, "import-url", f"{url}/s.csv")
        assert "skipping" in make.done(project, "update", "s.csv.dvc")
        missing = make.assay(project, "import-url", f"{url}/nope")
        assert missing.code == 255
        assert "there is nothing at this address" in missing.err
    gone = make.assay(project, "update", "s.csv.dvc")
    assert gone.code == 255
    assert "cannot be reached: connection refused" in gone.err
    assert (project / "s.csv").read_text() == "x,y\n3,4\n"


def test_sent_to_a_remote_the_data_are_there_and_nowhere_else(project, other, tmp_path):
    make.done(project, "remote", "add", "-d", "mine", str(tmp_path / "mine"))
    make.done(project, "import-url", "../other/d", "--to-remote")
    assert not (project / "d").exists()
    assert not list(make.cache(project))
    assert len(list((tmp_path / "mine").rglob("*.dir"))) == 1
    assert "path: ../other/d" in (project / "d.dvc").read_text()


def test_passwords_in_an_address_are_not_shown(project):
    shown = make.assay(project, "import", "https://ada:secret@localhost:1/x.git", "d")
    assert shown.code == 255
    assert "secret" not in shown.err


def test_data_of_s3_are_imported_by_their_etag(project):
    pytest.importorskip("obstore")
    with servers.moto() as url:
        for path, content in (("", None), ("/dir/a", b"1\n"), ("/dir/sub/b", b"22\n")):
            servers.ask("PUT", f"{url}/bucket{path}", content)
        make.done(project, "remote", "add", "cloud", "s3://bucket")
        for key, value in {**servers.KEYS, "endpointurl": url, "region": "us-east-1"}.items():
            make.done(project, "remote", "modify", "--local", "cloud", key, value)
        make.done(project, "import-url", "remote://cloud/dir/a")
        make.done(project, "import-url", "remote://cloud/dir")
        assert (project / "a").read_text() == "1\n"
        assert (project / "dir" / "sub" / "b").read_text() == "22\n"
        text = (project / "a.dvc").read_text()
        assert "etag: b026324c6904b2a9cb4b88d6d61c81d1\n" in text
        assert "path: remote://cloud/dir/a\n" in text
        assert "secret" not in text
        skipped = make.done(project, "update", "a.dvc", "dir.dvc")
        assert skipped.count("skipping") == 2
        assert make.done(project, "list-url", "remote://cloud/dir", "-R") == "a\nsub/b\n"
        make.done(project, "get-url", "remote://cloud/dir", "copy")
        assert (project / "copy" / "sub" / "b").read_text() == "22\n"
        servers.ask("PUT", f"{url}/bucket/dir/a", b"other\n")
        assert "Importing" in make.done(project, "update", "a.dvc")
        assert (project / "a").read_text() == "other\n"


def test_a_secret_is_not_written_into_a_file_that_git_keeps(project):
    shown = make.assay(
        project, "import-url", "s3://bucket/a", "--fs-config", "secret_access_key=x"
    )
    assert shown.code == 2
    assert "would be written into a file that git keeps" in shown.err
    assert not (project / "a.dvc").exists()


def test_data_behind_ssh_are_imported_by_their_md5(project, tmp_path, monkeypatch):
    pytest.importorskip("asyncssh")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    files = make.write(tmp_path / "files", {"dir/a": "1\n", "dir/sub/b": "22\n"})
    with servers.sftp(home / "server", files) as server:
        shutil.copy(server.known_hosts, home / ".ssh" / "known_hosts")
        url = f"ssh://ada@127.0.0.1:{server.port}/dir"
        key = ["--fs-config", f"keyfile={server.key}"]
        make.done(project, "import-url", f"{url}/a", *key)
        assert "skipping" in make.done(project, "update", "a.dvc")
    gc.collect()
    assert (project / "a").read_text() == "1\n"
    assert (
        f"- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  size: 2\n  hash: md5\n  path: {url}/a"
        in (project / "a.dvc").read_text()
    )
