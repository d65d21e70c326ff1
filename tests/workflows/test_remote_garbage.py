"""`gc --cloud` after a purge: artifacts of runs go from a remote, what a clone names stays."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.writer import Artifact, Writer
from assay.objects.cache import Cache
from assay.objects.hashing import hash_bytes
from assay.project.workspace import Project
from assay.workflows import garbage
from tests import make
from tests.objects.remotes import servers

HOURS = 3600


@pytest.fixture
def ada(tmp_path: Path) -> Path:
    root = make.project(tmp_path / "ada")
    make.done(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.commit(root)
    return root


@pytest.fixture
def bea(ada: Path) -> Path:
    make.git(ada.parent, "clone", "-q", str(ada), "bea")
    return ada.parent / "bea"


def store(root: Path) -> Path:
    return root.parent / "store"


def recorded(root: Path, name: str, *contents: bytes, bundle: bool = False) -> str:
    """Record a run that keeps files; of a bundle only its index is named by the record."""
    project = Project(root)
    oids = [project.objects.add(content) for content in contents]
    with open_ledger(project.ledger_path) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name=name, kind="script")
        if bundle:
            index = project.objects.add(json.dumps({"files": oids}).encode())
            writer.add_edge(f"run:{run}", "made", f"bundle:sha256:{index}")
        else:
            kept = [
                Artifact(path=f"{n}", oid=f"sha256:{oid}", size=len(contents[n]))
                for n, oid in enumerate(oids)
            ]
            writer.add_artifacts(run, kept)
        writer.finish_run(run, status="finished")
    return run


def purge(root: Path, run: str) -> None:
    make.done(root, "runs", "delete", run)
    make.done(root, "runs", "purge", "-f")


def aged(root: Path) -> None:
    """Let all that is on the remote be some hours old."""
    for path in store(root).rglob("*"):
        status = path.stat()
        os.utime(path, (status.st_atime - 2 * HOURS, status.st_mtime - 2 * HOURS))


def held(root: Path) -> set[bytes]:
    """Return the contents of the objects of runs on the remote."""
    found = Cache(store(root) / "assay" / "sha256", algorithm="sha256")
    return {found.read(oid) for oid in found}


def collected(root: Path) -> str:
    shown = make.assay(root, "gc", "-w", "-c", "-f")
    assert shown.code == 0, shown
    return shown.err


def test_artifacts_of_a_purged_run_go_and_those_of_others_stay(ada: Path, bea: Path):
    gone = recorded(ada, "gone", b"only gone", b"both", b"bea too")
    recorded(ada, "kept", b"both", b"kept")
    make.done(ada, "push")
    recorded(bea, "hers", b"bea too", b"hers")
    make.done(bea, "push")  # ada never fetches it
    aged(ada)
    collected(ada)
    assert held(ada) == {b"only gone", b"both", b"bea too", b"kept", b"hers"}
    purge(ada, gone)
    collected(ada)
    assert b"only gone" in held(ada)  # the pack on the remote names it still
    make.done(ada, "push")
    shown = json.loads(make.done(ada, "gc", "-w", "-c", "--dry", "--json"))
    assert [one["n_objects"] for one in shown["stores"] if one["name"] == "remote store"] == [1]
    collected(ada)
    assert held(ada) == {b"both", b"bea too", b"kept", b"hers"}
    assert json.loads(make.done(ada, "gc", "-w", "-c", "--dry", "--json"))["stores"][-1][
        "n_objects"
    ] == 0  # fmt: skip
    make.git(ada.parent, "clone", "-q", str(ada), "cal")
    assert "warning" not in make.assay(ada.parent / "cal", "fetch").err


def test_what_only_a_bundle_of_another_clone_names_stays(ada: Path, bea: Path):
    gone = recorded(ada, "gone", b"weights", b"plain")
    make.done(ada, "push")
    recorded(bea, "hers", b"weights", b"scaler", bundle=True)
    make.done(bea, "push")
    purge(ada, gone)
    make.done(ada, "push")
    aged(ada)
    collected(ada)  # nothing of the bundle is here
    assert {b"weights", b"scaler"} < held(ada)
    assert b"plain" not in held(ada)
    assert len(held(ada)) == 3


def test_a_record_that_another_clone_sent_again_keeps_its_bundle(ada: Path, bea: Path):
    """Bea has the record and not the files; what the index names is told by Ada's push."""
    run = recorded(ada, "a", b"weights", bundle=True)
    make.done(ada, "push")
    make.done(bea, "fetch", "--no-artifacts")
    with open_ledger(Project(bea).ledger_path) as ledger:
        Writer(ledger).set_tags(run, {"seen": "1"})
    make.done(bea, "push")
    aged(ada)
    before = held(ada)
    collected(bea)
    assert held(ada) == before
    assert b"weights" in before


def test_where_nobody_knows_what_a_document_names_nothing_goes(ada: Path, bea: Path):
    gone = recorded(ada, "gone", b"plain")
    recorded(ada, "kept", b"weights", bundle=True)
    make.done(ada, "push")
    purge(ada, gone)
    make.done(ada, "push")
    aged(ada)
    for path in (store(ada) / "assay" / "names").iterdir():
        path.unlink()
    before = held(ada)
    said = collected(bea)
    assert held(ada) == before
    assert "3 objects of runs on the remote stay: what 1 object may name is not known" in said
    assert "bring them: 'assay fetch --artifacts'" in said
    make.done(bea, "fetch", "--artifacts")
    assert "stay" not in collected(bea)
    assert held(ada) == before - {b"plain"}


@pytest.mark.parametrize("content", [b"damaged", b""])
def test_a_pack_that_cannot_be_read_stops_the_collection_of_objects(ada: Path, content: bytes):
    gone = recorded(ada, "gone", b"plain")
    recorded(ada, "kept", b"kept")
    make.done(ada, "push")
    purge(ada, gone)
    make.done(ada, "push")
    aged(ada)
    [pack] = (store(ada) / "assay" / "runs").iterdir()
    pack.chmod(0o644)
    pack.write_bytes(content)
    said = collected(ada)
    assert "2 objects of runs on the remote stay" in said
    assert "is damaged: what it names is not known" in said
    assert held(ada) == {b"plain", b"kept"}


def test_what_came_a_moment_ago_stays_its_record_may_be_on_its_way(ada: Path):
    gone = recorded(ada, "gone", b"plain")
    make.done(ada, "push")
    purge(ada, gone)
    make.done(ada, "push")
    collected(ada)
    assert held(ada) == {b"plain"}
    aged(ada)
    collected(ada)
    assert held(ada) == set()


def test_without_any_pack_nobody_can_tell_and_all_stays(ada: Path):
    stray = "0" * 64
    make.write(store(ada), {f"assay/sha256/{stray[:2]}/{stray[2:]}": "x"})
    aged(ada)
    collected(ada)
    assert len([path for path in store(ada).rglob("*") if path.is_file()]) == 1


def test_what_a_deleted_run_of_this_clone_names_stays_until_it_is_purged(ada: Path, bea: Path):
    run = recorded(ada, "a", b"weights")
    make.done(ada, "push")
    make.done(bea, "fetch")
    purge(ada, run)
    make.done(ada, "push")
    make.done(bea, "fetch")  # it is deleted here now
    aged(ada)
    collected(bea)
    assert held(ada) == {b"weights"}
    make.done(bea, "runs", "purge", "-f")
    collected(bea)
    assert held(ada) == set()


def tagged(root: Path, run: str) -> None:
    """Change the record of a run, so that the next push sends it."""
    with open_ledger(Project(root).ledger_path) as ledger:
        Writer(ledger).set_tags(run, {"by": root.name})
    make.done(root, "push")


def test_a_pack_that_another_clone_sent_gives_a_purged_run_up_as_well(ada: Path, bea: Path):
    run, kept = recorded(ada, "a", b"weights"), recorded(ada, "kept", b"kept")
    make.done(ada, "push")
    make.done(bea, "fetch")
    tagged(bea, run)  # ada never reads this pack
    purge(ada, run)
    make.done(ada, "push")
    aged(ada)
    collected(ada)
    assert held(ada) == {b"weights", b"kept"}
    make.done(bea, "fetch")
    make.done(bea, "push")
    collected(ada)
    assert held(ada) == {b"kept"}
    for root in (ada, bea, ada, bea):
        make.done(root, "fetch")
        make.done(root, "push")
    packs = [path.name for path in (store(ada) / "assay" / "runs").iterdir()]
    for root in (bea, ada):
        assert make.done(root, "fetch") == make.done(root, "push") == "Everything is up to date.\n"
    assert packs == [path.name for path in (store(ada) / "assay" / "runs").iterdir()]
    make.git(ada.parent, "clone", "-q", str(ada), "cal")
    make.done(ada.parent / "cal", "fetch")
    listed = json.loads(make.done(ada.parent / "cal", "runs", "list", "--json"))
    assert [one["id"] for one in listed] == [kept]


def test_a_pack_with_a_purged_run_that_is_read_after_the_purge_is_written_again(
    ada: Path, bea: Path
):
    run = recorded(ada, "a", b"weights")
    make.done(ada, "push")
    make.done(bea, "fetch")
    tagged(bea, run)
    purge(ada, run)
    make.done(ada, "push")
    make.done(ada, "fetch")
    make.done(ada, "push")
    aged(ada)
    collected(ada)
    assert held(ada) == set()


def test_a_clone_that_changed_a_run_hears_that_it_is_gone_before_it_sends_it(ada: Path, bea: Path):
    run = recorded(ada, "a", b"weights")
    make.done(ada, "push")
    make.done(bea, "fetch")
    purge(ada, run)
    make.done(ada, "push")
    tagged(bea, run)
    aged(ada)
    collected(ada)
    assert held(ada) == set()


def found_after_hours(root: Path) -> list[str]:
    """Return what a collection some hours later would take from the remote."""
    project = Project(root)
    keep = garbage.Keep(workspace=True, cloud=True)
    parts = garbage.find(project, keep, now=time.time() + 2 * HOURS).parts
    [part] = [part for part in parts if part.name == "remote store"]
    return [one.oid for one in part.unused]


def purged_and_pushed(root: Path) -> str:
    """Purge one run of two, push, and return the oid of what only it kept."""
    recorded(root, "kept", b"kept")
    gone = recorded(root, "gone", b"gone", b"kept")
    make.done(root, "push")
    purge(root, gone)
    make.done(root, "push")
    assert found_now(root) == []
    return hash_bytes(b"gone", algorithm="sha256")


def found_now(root: Path) -> list[str]:
    shown = json.loads(make.done(root, "gc", "-w", "-c", "--dry", "--json"))
    return [
        oid for one in shown["stores"] if one["name"] == "remote store" for oid in one["objects"]
    ]


def test_a_bucket_is_collected(tmp_path: Path):
    root = make.project(tmp_path / "ada")
    with servers.moto() as service:
        servers.ask("PUT", f"{service}/runs")
        make.done(root, "remote", "add", "-d", "store", "s3://runs/team")
        for key, value in {"endpointurl": service, **servers.KEYS}.items():
            make.done(root, "remote", "modify", "store", key, value)
        make.commit(root)
        oid = purged_and_pushed(root)
        assert found_after_hours(root) == [oid]


def test_a_folder_of_webdav_is_collected(tmp_path: Path):
    root = make.project(tmp_path / "ada")
    with servers.webdav(tmp_path / "dav") as where:
        make.done(root, "remote", "add", "-d", "store", f"webdav://{where}/dav/team")
        for key, value in {"user": "ada", "password": "pa55word"}.items():
            make.done(root, "remote", "modify", "store", key, value)
        make.commit(root)
        oid = purged_and_pushed(root)
        assert found_after_hours(root) == [oid]
