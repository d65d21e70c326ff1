"""Addresses of every kind: what lies there is listed, gotten and imported, files and folders."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.objects.remotes import RemoteSettings, open_remote
from tests import make
from tests.kinds import check_remote
from tests.objects.remotes import servers, websites
from tests.workflows import others

FILES = {
    "dir/a": "1\n",
    "dir/sub/b": "22\n",
    "dir/.hidden": "h\n",
    "dir/.dot/x": "x\n",
    "one.csv": "x\n1\n",
}
KINDS = ["local", "ssh", "webdav", "s3", "gs", "azure"]


@pytest.fixture(params=KINDS)
def lab(request, project: Path, tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """A project whose remote 'lab' has `FILES`; gives the project."""
    with contextlib.ExitStack() as stack:
        url, options = serve(request.param, stack, tmp_path, monkeypatch, request)
        make.done(project, "remote", "add", "lab", url)
        for name, value in options.items():
            make.done(project, "remote", "modify", "--local", "lab", name, value)
        yield project
    gc.collect()


def serve(kind, stack, tmp_path, monkeypatch, request) -> tuple[str, dict[str, str]]:
    """Serve `FILES`; return an address and what opens it."""
    if kind == "s3":
        service = request.getfixturevalue("moto")
        bucket = f"b{abs(hash(str(tmp_path))) % 10**10}"
        servers.ask("PUT", f"{service}/{bucket}")
        for name, content in FILES.items():
            servers.ask("PUT", f"{service}/{bucket}/top/{name}", content.encode())
        return f"s3://{bucket}/top", {**servers.KEYS, "endpointurl": service}
    if kind in {"gs", "azure"}:
        return serve_from_cloud(kind, tmp_path, request)
    files = make.write(tmp_path / "files", FILES)
    if kind == "local":
        return str(files), {}
    if kind == "webdav":
        host = stack.enter_context(servers.webdav(files))
        return f"webdav://{host}/dav", {"user": "ada", "password": "pa55word"}
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    server = stack.enter_context(servers.sftp(home / "server", files))
    shutil.copy(server.known_hosts, home / ".ssh" / "known_hosts")
    return f"ssh://ada@127.0.0.1:{server.port}", {"keyfile": str(server.key)}


def serve_from_cloud(kind: str, tmp_path: Path, request) -> tuple[str, dict[str, str]]:
    url = request.getfixturevalue("moto" if kind == "gs" else "azurite")
    name = f"b{abs(hash(str(tmp_path))) % 10**10}"
    if kind == "gs":
        servers.open_to_all(url, name)
        options = {"endpointurl": url, "allow_anonymous_login": "true"}
    else:
        servers.make_container(url, name)
        options = {"connection_string": servers.connection_string(url)}
    remote = open_remote(RemoteSettings(name="st", url=f"{kind}://{name}/top", options=options))
    for key, content in FILES.items():
        one = check_remote.item(tmp_path / "passing", content.encode())
        remote.upload([one._replace(key=key)], advance=lambda _count: None)
    return f"{kind}://{name}/top", options


def test_a_folder_is_listed_with_names_that_begin_with_a_dot(lab):
    shown = make.done(lab, "list-url", "remote://lab/dir")
    assert shown.splitlines() == [".dot", ".hidden", "a", "sub"]
    shown = make.done(lab, "list-url", "remote://lab/dir", "-R", "--size")
    assert shown == "2  .dot/x\n2  .hidden\n2  a\n3  sub/b\n"
    assert make.done(lab, "list-url", "remote://lab").split() == ["dir", "one.csv"]
    shown = make.done(lab, "list-url", "remote://lab/", "-R", "-L", "2")
    assert shown.split() == ["dir/.dot", "dir/.hidden", "dir/a", "dir/sub", "one.csv"]
    rows = json.loads(make.done(lab, "list-url", "remote://lab", "--json"))
    assert rows == [
        {"path": "dir", "isdir": True, "size": None},
        {"path": "one.csv", "isdir": False, "size": 4},
    ]


def test_a_folder_is_imported_and_followed(lab):
    make.done(lab, "import-url", "remote://lab/dir")
    assert {name.removeprefix("dir/") for name in FILES if name.startswith("dir/")} == {
        p.relative_to(lab / "dir").as_posix() for p in (lab / "dir").rglob("*") if p.is_file()
    }
    assert "path: remote://lab/dir\n" in (lab / "dir.dvc").read_text()
    assert "skipping" in make.done(lab, "update", "dir.dvc")
    shutil.rmtree(lab / "dir")
    make.done(lab, "checkout")
    assert (lab / "dir" / ".dot" / "x").read_text() == "x\n"


def test_a_file_and_a_folder_are_recorded_by_what_dvc_compares(lab):
    """Tried against DVC 3.67.1 with S3 and Azure; a list of ETags is recorded as MD5, too."""
    content = FILES["one.csv"].encode()
    md5 = hashlib.md5(content).hexdigest()
    make.done(lab, "import-url", "remote://lab/one.csv")
    make.done(lab, "import-url", "remote://lab/dir")
    scheme = make.done(lab, "remote", "list").split()[1].partition(":")[0]
    mark = {"s3": f"- etag: {md5}\n", "gs": f"- etag: {md5}\n", "azure": "- etag: '\"0x"}
    record = (lab / "one.csv.dvc").read_text()
    assert mark.get(scheme, f"- md5: {md5}\n") in record.partition("outs:")[0]
    folder = (lab / "dir.dvc").read_text().partition("outs:")[0]
    assert re.search(r"- md5: [0-9a-f]{32}\.dir\n  size: 9\n  nfiles: 4\n", folder)


def test_a_folder_and_a_file_are_gotten(lab):
    make.done(lab, "get-url", "remote://lab/dir")
    assert (lab / "dir" / "sub" / "b").read_text() == "22\n"
    assert (lab / "dir" / ".hidden").read_text() == "h\n"
    make.done(lab, "get-url", "remote://lab/one.csv", "two.csv")
    assert (lab / "two.csv").read_text() == "x\n1\n"


def test_what_is_not_there_is_named_and_nothing_is_made(lab):
    before = make.state(lab)
    for command in ("list-url", "get-url", "import-url"):
        shown = make.assay(lab, command, "remote://lab/nope")
        assert shown.code == 255
        assert "remote://lab/nope: there is nothing at this address" in shown.err
        assert "check the path" in shown.err
    assert make.state(lab) == before


def test_data_are_pushed_pulled_verified_and_collected(lab):
    make.done(lab, "remote", "default", "lab")
    make.write(lab, {"data/x": "x\n", "data/y": "y\n"})
    make.done(lab, "add", "--no-profile", "data")
    assert make.done(lab, "push") == "3 files pushed\n"
    assert make.done(lab, "push") == "Everything is up to date.\n"
    assert "in sync" in make.done(lab, "status", "--cloud")
    shutil.rmtree(lab / ".dvc" / "cache")
    shutil.rmtree(lab / "data")
    make.done(lab, "pull")
    assert (lab / "data" / "y").read_text() == "y\n"
    (lab / "data" / "y").unlink()
    make.done(lab, "add", "--no-profile", "data")
    make.done(lab, "push")
    before = make.done(lab, "list-url", "remote://lab/files", "-R").split()
    make.done(lab, "gc", "-w", "-c", "-f")
    after = make.done(lab, "list-url", "remote://lab/files", "-R").split()
    assert (len(before), len(after)) == (4, 2)
    assert "dir" in make.done(lab, "list-url", "remote://lab")  # what is no object stays
    make.done(lab, "pull")


def test_a_remote_may_lie_on_another_one(lab):
    make.done(lab, "remote", "add", "inner", "remote://lab/dir")
    make.done(lab, "remote", "add", "-d", "deep", "remote://inner/sub")
    assert make.done(lab, "list-url", "remote://deep") == "b\n"
    make.done(lab, "import-url", "remote://deep/b")
    assert (lab / "b").read_text() == "22\n"
    assert "path: remote://deep/b\n" in (lab / "b.dvc").read_text()
    assert "skipping" in make.done(lab, "update", "b.dvc")
    make.done(lab, "push")
    keys = make.done(lab, "list-url", "remote://lab/dir/sub", "-R").split()
    assert keys == ["b", "files/md5/2f/c57d6f63a9ee7e2f21a26fa522e3b6"]
    shutil.rmtree(lab / ".dvc" / "cache")
    (lab / "b").unlink()
    make.done(lab, "pull")
    assert (lab / "b").read_text() == "22\n"


def test_data_of_another_repository_come_from_a_remote_on_a_remote(project, tmp_path):
    other = others.repository(tmp_path / "other", store=tmp_path / "store" / "sub")
    make.done(other, "remote", "add", "base", str(tmp_path / "store"))
    make.done(other, "remote", "modify", "st", "url", "remote://base/sub")
    make.commit(other)
    shutil.rmtree(other / ".dvc" / "cache")
    make.done(project, "import", "../other", "d")
    assert (project / "d" / "sub" / "b").read_text() == "22\n"
    clone = other.as_uri()
    config = f"url={tmp_path / 'store'}"
    make.done(
        project, "get", clone, "s.csv", "--remote", "base", "--remote-config", config + "/sub"
    )
    assert (project / "s.csv").read_text() == "x,y\n3,4\n"


REFUSED = [
    (["inner", "remote://nope/x"], "lies on 'nope', and there is no such remote"),
    (["inner", "remote://laab/x"], "did you mean 'lab'?"),
    (["inner", "remote://inner/x"], "remote 'inner' lies on 'inner'"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_a_remote_on_one_that_is_not_there_is_refused(project, arguments, words):
    make.done(project, "remote", "add", "lab", "../store")
    before = make.state(project)
    shown = make.assay(project, "remote", "add", *arguments)
    assert shown.code == 255
    assert words in shown.err
    assert make.state(project) == before


def test_remotes_that_lie_on_each_other_are_named(project):
    make.done(project, "remote", "add", "a", "../store")
    make.done(project, "remote", "add", "b", "remote://a/x")
    make.done(project, "remote", "modify", "a", "url", "remote://b/y")
    for command in (["list-url", "remote://a/z"], ["push", "-r", "b"]):
        shown = make.assay(project, *command)
        assert shown.code == 255
        assert "lies on itself" in shown.err
        assert "assay remote modify" in shown.err
    assert make.done(project, "remote", "list").split() == [
        "a",
        "remote://b/y",
        "b",
        "remote://a/x",
    ]
    make.done(project, "remote", "modify", "a", "url", "../store")
    make.done(project, "push", "-r", "b")


def test_an_empty_folder_behind_ssh_is_an_empty_folder(project, tmp_path, monkeypatch, request):
    with contextlib.ExitStack() as stack:
        url, options = serve("ssh", stack, tmp_path, monkeypatch, request)
        (tmp_path / "files" / "void").mkdir()
        (tmp_path / "files" / "dir" / "to-a").symlink_to("a")
        (tmp_path / "files" / "dir" / "round").symlink_to(".")
        key = ["--fs-config", f"keyfile={options['keyfile']}"]
        assert make.done(project, "list-url", f"{url}/void", *key) == ""
        make.done(project, "import-url", f"{url}/void", *key)
        make.done(project, "get-url", f"{url}/dir", *key)
    gc.collect()
    assert (project / "void").is_dir()
    assert "nfiles: 0" in (project / "void.dvc").read_text()
    assert (project / "dir" / "to-a").read_text() == "1\n"
    assert not (project / "dir" / "round").exists()


def test_a_placeholder_for_a_folder_in_a_bucket_is_no_file(project, moto):
    servers.ask("PUT", f"{moto}/held")
    for name in ("dir/", "dir/sub/", "dir/sub/b", "void/"):
        servers.ask("PUT", f"{moto}/held/{name}", b"22\n" if name.endswith("b") else b"")
    make.done(project, "remote", "add", "lab", "s3://held")
    for name, value in {**servers.KEYS, "endpointurl": moto}.items():
        make.done(project, "remote", "modify", "--local", "lab", name, value)
    assert make.done(project, "list-url", "remote://lab").split() == ["dir", "void"]
    assert make.done(project, "list-url", "remote://lab/dir", "-R").split() == ["sub/b"]
    make.done(project, "import-url", "remote://lab/dir")
    assert (project / "dir" / "sub" / "b").read_text() == "22\n"


def test_a_page_behind_a_password_is_imported_and_followed(project, tmp_path):
    """The options of the remote count for its state too, not only for its bytes."""
    with websites.web(tmp_path / "web") as web:
        make.write(web.folder, {"store/page": "page\n"})
        web.faults.append(websites.needs_basic("ada", "pa55word"))
        make.done(project, "remote", "add", "lab", web.url)
        for name, value in {"auth": "basic", "user": "ada", "password": "pa55word"}.items():
            make.done(project, "remote", "modify", "--local", "lab", name, value)
        make.done(project, "import-url", "remote://lab/page")
        assert "skipping" in make.done(project, "update", "page.dvc")
        web.faults.clear()
        web.faults.append(websites.answer(401))
        shown = make.assay(project, "update", "page.dvc")
        assert shown.code == 255
        assert "credentials are wrong or missing" in shown.err
    assert (project / "page").read_text() == "page\n"
    assert "pa55word" not in (project / "page.dvc").read_text()


def test_the_netrc_file_opens_a_page(project, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password pa55word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with websites.web(tmp_path / "web") as web:
        make.write(web.folder, {"store/page": "page\n"})
        web.faults.append(websites.needs_basic("ada", "pa55word"))
        make.done(project, "import-url", f"{web.url}/page")
        assert (project / "page").read_text() == "page\n"
        make.done(project, "remote", "add", "lab", web.url)
        make.done(project, "remote", "modify", "lab", "user", "someone")  # says who: no netrc
        refused = make.assay(project, "get-url", "remote://lab/page", "other")
        assert refused.code == 255
        assert "pa55word" not in refused.err
        netrc.write_text("machine\n\nnonsense {")
        assert make.assay(project, "get-url", f"{web.url}/page", "again").code == 255
    assert not os.path.lexists(project / "other")


def test_a_named_remote_outside_of_a_project_is_an_error_with_a_way_out(tmp_path):
    for command in ("list-url", "get-url"):
        shown = make.assay(tmp_path, command, "remote://lab/x")
        assert shown.code == 255
        assert "no project here that names remotes" in shown.err
        assert "run this inside of the project" in shown.err
