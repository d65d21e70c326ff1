"""Remotes that cannot be reached, refuse, run full, or break off: said so, and nothing is lost."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import make
from tests.objects.remotes import gates, servers, websites

KINDS = ["http", "webdav", "s3", "gs", "azure"]
N_FILES = 12
UPLOADS = ("PUT", "POST")


@pytest.fixture(params=KINDS)
def gate(request, project: Path, tmp_path: Path) -> Iterator[gates.Gate]:
    """A gate before a server; the default remote of the project, which has data, is behind it."""
    name = f"b{abs(hash(str(tmp_path))) % 10**10}"
    with contextlib.ExitStack() as stack:
        kind = request.param
        url, options, port = serve(kind, name, tmp_path, stack, request)
        state = stack.enter_context(gates.gate(port))
        make.done(project, "remote", "add", "-d", "st", url.replace("PORT", str(state.port)))
        for key, value in options.items():
            mine = value.replace("PORT", str(state.port))
            make.done(project, "remote", "modify", "--local", "st", key, mine)
        make.done(project, "remote", "modify", "st", "jobs", "1")
        make.write(project, {f"d/{n}": f"{n} of {name}\n" for n in range(N_FILES)})
        make.done(project, "add", "--no-profile", "d")
        yield state


def serve(kind, name, tmp_path, stack, request) -> tuple[str, dict[str, str], int]:
    """Start a server; return the address of a remote, its options and the server's port."""
    at = "http://127.0.0.1:PORT"
    if kind == "http":
        web = stack.enter_context(websites.web(tmp_path / "web"))
        return f"{at}/store", {}, web.port
    if kind == "webdav":
        host = stack.enter_context(servers.webdav(tmp_path / "dav"))
        options = {"user": "ada", "password": "pa55word"}
        return "webdav://127.0.0.1:PORT/dav/store", options, int(host.rpartition(":")[2])
    if kind == "azure":
        url = request.getfixturevalue("azurite")
        servers.make_container(url, name)
        options = {"connection_string": servers.connection_string(f"{at}/{servers.ACCOUNT}")}
        return f"azure://{name}/store", options, urlsplit(url).port or 0
    url = request.getfixturevalue("moto")
    servers.open_to_all(url, name)
    options = {"endpointurl": at}
    options |= servers.KEYS if kind == "s3" else {"allow_anonymous_login": "true"}
    return f"{kind}://{name}/store", options, urlsplit(url).port or 0


def refused(project: Path, *arguments: str) -> str:
    """Run a command that fails; return what it says, which names the remote and a next step."""
    before = make.state(project)
    shown = make.assay(project, *arguments)
    assert (shown.code, shown.out) == (255, "")
    assert shown.err.startswith("error: remote 'st': ")
    assert "\n  hint: " in shown.err
    assert "Traceback" not in shown.err
    assert make.state(project) == before
    return shown.err


@pytest.mark.parametrize("status", [401, 403])
def test_one_that_refuses_is_named_and_nothing_changes(gate, project, status):
    gate.fault = gates.says(status, "AccessDenied")
    for command in (["push"], ["fetch"], ["status", "--cloud"]):
        if command == ["fetch"]:
            shutil.rmtree(project / ".dvc" / "cache")
        said = refused(project, *command)
        assert any(word in said for word in ("refuse", "credentials are wrong")), said


def test_one_that_runs_full_keeps_what_arrived_and_the_next_push_sends_the_rest(gate, project):
    gate.fault = gates.after(5, gates.says(507, "InsufficientStorage"), *UPLOADS)
    said = refused(project, "push")
    assert "takes no more" in said
    assert "make room there" in said
    gate.fault, gate.seen[:] = None, []
    shown = make.done(project, "push")
    assert shown == f"{N_FILES + 1 - 5} files pushed\n"
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project / "d")
    make.done(project, "pull")
    assert len(list((project / "d").iterdir())) == N_FILES


def test_one_that_breaks_off_a_pull_for_good_leaves_what_came_and_the_next_pull_brings_the_rest(
    gate, project
):
    make.done(project, "push")
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project / "d")
    gate.fault, gate.seen[:] = gates.after(6, gates.breaks_off, "GET", "HEAD", "PROPFIND"), []
    refused(project, "pull")
    cache = make.cache(project)
    came = set(cache) if cache.folder.exists() else set()
    assert all(cache.verify(oid) for oid in came)
    gate.fault, gate.seen[:] = None, []
    make.done(project, "pull")
    assert len(list((project / "d").iterdir())) == N_FILES
    again = [oid for oid in came if any(oid[2:] in path for path in gate.asked("GET"))]
    assert again == []


def test_one_that_stumbles_is_asked_again_and_nobody_notices(gate, project):
    counter = [0]

    def every_third(handler) -> bool:
        counter[0] += 1
        fault = gates.says(503) if counter[0] % 2 else gates.breaks_off
        return counter[0] % 3 == 0 and fault(handler)

    gate.fault = every_third
    assert make.done(project, "push") == f"{N_FILES + 1} files pushed\n"
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project / "d")
    make.done(project, "pull")
    assert len(list((project / "d").iterdir())) == N_FILES
    assert counter[0] > N_FILES


ADDRESSES = {
    "http": ("http://127.0.0.1:PORT/store", {}),
    "webdav": ("webdav://127.0.0.1:PORT/store", {}),
    "ssh": ("ssh://ada@127.0.0.1:PORT/store", {}),
    "s3": ("s3://bucket/store", {"endpointurl": "http://127.0.0.1:PORT", **servers.KEYS}),
    "gs": (
        "gs://bucket/store",
        {"endpointurl": "http://127.0.0.1:PORT", "allow_anonymous_login": "true"},
    ),
    "azure": (
        "azure://bucket/store",
        {"connection_string": servers.connection_string("http://127.0.0.1:PORT/account")},
    ),
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_one_that_is_not_there_is_named_and_nothing_changes(kind, project):
    url, options = ADDRESSES[kind]
    port = str(servers.free_port())
    make.done(project, "remote", "add", "-d", "st", url.replace("PORT", port))
    for key, value in options.items():
        make.done(project, "remote", "modify", "st", key, value.replace("PORT", port))
    make.write(project, {"d/x": "x\n"})
    make.done(project, "add", "--no-profile", "d")
    for command in (["push"], ["import-url", "remote://st/x"]):
        said = refused(project, *command)
        assert "cannot be reached" in said
        assert "connection refused" in said
