"""What one tool puts on a remote the other finds there: over HTTP, and by copies of a bucket.

Real DVC has its HTTP plug-in with it. For the other kinds it needs packages of their own, so the
layout is compared: what DVC wrote into a folder is copied to the service, and the other way round.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make, stages
from tests.objects.remotes import servers, websites
from tests.stages import dvc

ON_CI = os.environ.get("CI") == "true"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and not ON_CI,
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]

FILES = {"d/a": "1", "d/b/c": "2", "d/zero": "", "one.bin": "x" * 100_000}


def tracked(folder: Path, config: str) -> Path:
    """Make a project with data and a remote."""
    root = make.write(make.project(folder), FILES)
    (root / ".dvc" / "config").write_text(config)
    make.done(root, "add", "d", "one.bin")
    make.commit(root)
    return root


def emptied(root: Path) -> None:
    """Take away all data, here and in the cache."""
    for name in (".dvc/cache", ".dvc/tmp", "d", "one.bin"):
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def check_data(root: Path) -> None:
    assert {name: (root / name).read_text() for name in FILES} == FILES


def objects(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds below its first level."""
    files = folder / "files"
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in files.rglob("*") if p.is_file()
    }


CONFIG = "[core]\n    remote = st\n['remote \"st\"']\n    url = {url}\n"


def test_over_http_each_pulls_what_the_other_pushed(tmp_path: Path):
    with websites.web(tmp_path / "web") as web:
        root = tracked(tmp_path / "p", CONFIG.format(url=web.url))
        dvc(root, "push")
        emptied(root)
        make.done(root, "pull")
        check_data(root)
        by_dvc = objects(web.folder / "store")
        shutil.rmtree(web.folder / "store")
        make.done(root, "push")
        assert objects(web.folder / "store") == by_dvc
        emptied(root)
        dvc(root, "pull")
        check_data(root)
        assert "up to date" in dvc(root, "push")


@pytest.fixture
def moto() -> Iterator[str]:
    with servers.moto() as url:
        servers.ask("PUT", f"{url}/bucket")
        yield url


def test_in_a_bucket_the_layout_is_dvcs(moto: str, tmp_path: Path):
    root = tracked(tmp_path / "p", CONFIG.format(url=tmp_path / "store"))
    dvc(root, "push")
    by_dvc = objects(tmp_path / "store")
    keys = "".join(f"    {name} = {value}\n" for name, value in servers.KEYS.items())
    config = CONFIG.format(url="s3://bucket/a/b") + f"    endpointurl = {moto}\n{keys}"
    (root / ".dvc" / "config").write_text(config)
    for key, content in by_dvc.items():  # as if DVC had pushed there
        servers.ask("PUT", f"{moto}/bucket/a/b/{key}", content)
    assert "up to date" in make.done(root, "push")
    emptied(root)
    make.done(root, "pull")
    check_data(root)
    for key in by_dvc:
        servers.ask("DELETE", f"{moto}/bucket/a/b/{key}")
    make.done(root, "push")
    assert {key: servers.ask("GET", f"{moto}/bucket/a/b/{key}") for key in by_dvc} == by_dvc


def test_behind_ssh_the_layout_is_dvcs(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    with servers.sftp(tmp_path / "server", tmp_path / "files") as server:
        shutil.copy(server.known_hosts, tmp_path / "home" / ".ssh" / "known_hosts")
        root = tracked(tmp_path / "p", CONFIG.format(url=tmp_path / "files" / "store"))
        dvc(root, "push")
        by_dvc = objects(tmp_path / "files" / "store")
        url = f"ssh://ada@127.0.0.1:{server.port}/store"
        config = CONFIG.format(url=url) + f"    keyfile = {server.key}\n"
        (root / ".dvc" / "config").write_text(config)
        assert "up to date" in make.done(root, "push")
        emptied(root)
        make.done(root, "pull")
        check_data(root)
        shutil.rmtree(tmp_path / "files" / "store")
        make.done(root, "push")
        assert objects(tmp_path / "files" / "store") == by_dvc
        (root / ".dvc" / "config").write_text(CONFIG.format(url=tmp_path / "files" / "store"))
        emptied(root)
        dvc(root, "pull")
        check_data(root)
        gc.collect()
