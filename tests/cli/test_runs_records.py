"""`assay runs delete/restore/purge/export/import`: what a person sees and types."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import assay
from assay.ledger import deleting, runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Artifact, Code, Metric, Untracked, Writer
from assay.project.workspace import Project
from tests import make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make.project(tmp_path / "project")


def opened(root: Path) -> Ledger:
    return open_ledger(Project(root).ledger_path)


def recorded(root: Path, name: str, files: dict[str, bytes], *, parent: str | None = None) -> str:
    project = Project(root)
    with opened(root) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name=name, kind="script", experiment="tries", parent=parent)
        writer.log_params(run, {"lr": 0.1})
        writer.log_metrics(run, [Metric(key="loss", value=0.5, step=i, at=i) for i in range(3)])
        kept = [
            Artifact(path=path, oid=f"sha256:{project.objects.add(content)}", size=len(content))
            for path, content in files.items()
        ]
        writer.add_artifacts(run, kept)
        writer.finish_run(run, status="finished")
    return run


def objects(root: Path) -> list[bytes]:
    store = Project(root).objects
    return sorted(store.read(oid) for oid in store)


def made_long_ago(folder: Path) -> None:
    """Let all objects of a store be older than the hour in which they are left alone."""
    for path in folder.glob("*/*"):
        os.utime(path, (1, 1))


def test_a_purge_frees_what_nothing_else_names(root: Path):
    a = recorded(root, "a", {"model": b"only a", "shared": b"both"})
    b = recorded(root, "b", {"shared": b"both"})
    make.done(root, "runs", "delete", a)
    young = make.done(root, "runs", "purge", "--dry")
    assert young.endswith(
        "Would purge 1 run.\n1 object stays: it was written less than an hour ago; a run may be "
        "about to name it.\n"
    )
    made_long_ago(Project(root).objects.folder)
    dry = make.done(root, "runs", "purge", "--dry")
    assert "Would purge 1 run and free 1 artifact (6 B)." in dry
    assert a in dry
    refused = make.assay(root, "runs", "purge")
    assert refused.code == 1
    assert "nothing was removed" in refused.err
    assert objects(root) == [b"both", b"only a"]
    said = make.done(root, "runs", "purge", "--force")
    assert said == "Purged 1 run and freed 1 artifact (6 B).\n"
    assert objects(root) == [b"both"]
    assert make.done(root, "runs", "purge") == "Nothing to purge.\n"
    with opened(root) as ledger:
        assert runs.get(ledger, b).artifacts[0].path == "shared"


def test_a_purge_says_what_it_leaves_since_it_is_young(root: Path):
    run = recorded(root, "a", {"model": b"only a", "notes": b"words"})
    make.done(root, "runs", "delete", run)
    said = make.assay(root, "runs", "purge", "--force")
    assert (said.code, said.out) == (0, "Purged 1 run.\n")
    assert said.err == (
        "  2 objects stay: they were written less than an hour ago; "
        "a run may be about to name them\n"
    )
    assert objects(root) == [b"only a", b"words"]


def purged_by_hand(root: Path, meanwhile: Callable[[], object]) -> tuple[int, str, str]:
    """Run `runs purge` at a terminal, do something while it asks, and agree."""
    master, slave = pty.openpty()
    running = subprocess.Popen(
        make.command("runs", "purge"), cwd=root, stdin=slave,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stderr is not None
    asked = b""
    while not asked.endswith(b"Purge? [y/N]: ") and (one := running.stderr.read(1)):
        asked += one
    meanwhile()
    os.write(master, b"y\n")
    out, said = running.communicate()
    os.close(master)
    os.close(slave)
    return running.returncode, out.decode(), said.decode()


@pytest.mark.parametrize("n_deleted", [1, 2])
def test_a_run_that_is_restored_while_a_person_is_asked_stays(root: Path, n_deleted: int):
    a, *rest = (recorded(root, name, {}) for name in "ab"[:n_deleted])
    make.done(root, "runs", "delete", a, *rest)
    done = purged_by_hand(root, lambda: make.done(root, "runs", "restore", a))
    assert done == (
        0,
        "Purged 1 run.\n" if rest else "Nothing was purged.\n",
        "  1 of what was found is not as it was, and stays: it was restored, say\n",
    )
    assert ids(root) == [a]


def test_a_purge_knows_how_old_what_it_takes_is(root: Path):
    run = recorded(root, "a", {})
    make.done(root, "runs", "delete", run)
    assert make.done(root, "runs", "purge", "--older-than", "1h") == "Nothing to purge.\n"
    with opened(root) as ledger:
        deleting.restore(ledger, [run])
        deleting.delete(ledger, [run], at=1)
    assert "Purged 1 run." in make.done(root, "runs", "purge", "--older-than", "30d", "-f")


@pytest.mark.parametrize("age", ["", "30", "d", "1y", "-1d", "1.5h"])
def test_an_age_that_is_none_is_refused(root: Path, age: str):
    recorded(root, "a", {})
    said = make.assay(root, "runs", "purge", "--older-than", age)
    assert said.code == 2
    assert "write 12h, 30d or 8w" in said.err


def test_a_purged_run_does_not_come_back_with_a_pull(tmp_path: Path, root: Path):
    make.done(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.commit(root)
    run = recorded(root, "a", {"model": b"weights"})
    kept = recorded(root, "b", {})
    make.done(root, "push")
    other = tmp_path / "other"
    make.git(tmp_path, "clone", "-q", str(root), "other")
    make.done(other, "pull")
    make.done(root, "runs", "delete", run)
    make.done(root, "runs", "purge", "--force")
    shutil.rmtree(Project(root).assay_dir / "records")  # all is read once more
    make.done(root, "pull")
    assert ids(root) == [kept]
    make.done(root, "push")
    make.done(other, "pull")
    assert ids(other) == [kept]
    assert run[:13] in make.done(other, "runs", "list", "--deleted")
    make.done(other, "runs", "restore", run)
    make.done(other, "push")
    make.done(other, "pull")
    make.done(root, "pull")
    assert ids(root) == [kept]
    assert ids(other) == sorted([run, kept])
    make.git(tmp_path, "clone", "-q", str(root), "third")
    make.done(tmp_path / "third", "pull")
    assert ids(tmp_path / "third") == [kept]


def ids(root: Path) -> list[str]:
    found = json.loads(make.done(root, "runs", "list", "--json", "--all"))
    return sorted(run["id"] for run in found)


def test_runs_go_to_another_project_in_one_file(tmp_path: Path, root: Path):
    run = recorded(root, "a", {"dir/model #1.bin": b"weights"})
    other = make.project(tmp_path / "other")
    file = tmp_path / "a.zip"
    said = make.done(root, "runs", "export", run, "-o", str(file))
    assert re.fullmatch(rf"Wrote 1 run and 1 artifact to {file} \(.+\)\.\n", said)
    assert make.done(other, "runs", "import", str(file)) == "Imported 1 new run, 1 artifact.\n"
    assert make.done(other, "runs", "import", str(file)) == "All of it is here already.\n"
    with opened(root) as here, opened(other) as there:
        assert runs.get(there, run).artifacts == runs.get(here, run).artifacts
        assert runs.history(there, run, "loss") == runs.history(here, run, "loss")
    assert objects(other) == [b"weights"]


def changed(root: Path, *, patch: bytes = b"+1\n") -> str:
    """Record a run of changed code: one artifact, a patch and a file that git does not know."""
    project = Project(root)
    diff, code, model = (project.objects.add(text) for text in (patch, b"1\n", b"weights"))
    untracked = (Untracked(path="a.py", oid=f"sha256:{code}", size=2),)
    with opened(root) as ledger:
        writer = Writer(ledger)
        of = Code(commit="c0", diff=f"sha256:{diff}", untracked=untracked)
        run = writer.start_run(name="a", kind="script", code=of)
        writer.add_artifacts(run, [Artifact(path="model", oid=f"sha256:{model}", size=7)])
        writer.finish_run(run, status="finished")
    return run


def test_an_artifact_is_what_a_run_keeps_under_a_path(tmp_path: Path, root: Path):
    run = changed(root)
    other = make.project(tmp_path / "other")
    assert make.done(root, "runs", "export", "-o", "a.zip").startswith(
        "Wrote 1 run and 1 artifact to"
    )
    facts = json.loads(make.done(root, "runs", "export", "-o", "a.zip", "-f", "--json"))
    assert (facts["artifacts"], facts["others"], facts["missing"]) == (1, 2, 0)
    imported = make.done(other, "runs", "import", str(root / "a.zip"))
    assert imported == "Imported 1 new run, 1 artifact.\n"
    assert objects(other) == objects(root)
    make.done(other, "runs", "delete", run)
    made_long_ago(Project(other).objects.folder)
    said = make.done(other, "runs", "purge", "-f")
    assert said == "Purged 1 run and freed 1 artifact and 2 other files (12 B).\n"


def test_equal_files_of_two_runs_are_two_artifacts(tmp_path: Path, root: Path):
    for name in "ab":
        recorded(root, name, {"model": b"weights"})
    said = make.done(root, "runs", "export", "--experiment", "tries", "-o", "a.zip")
    assert said.startswith("Wrote 2 runs and 2 artifacts to a.zip")
    other = make.project(tmp_path / "other")
    said = make.done(other, "runs", "import", str(root / "a.zip"))
    assert said == "Imported 2 new runs, 2 artifacts.\n"


def test_what_is_not_here_is_said_to_be_left_out_of_a_file(tmp_path: Path, root: Path):
    changed(root)
    for oid in list(Project(root).objects):
        Project(root).objects.remove(oid)
    said = make.assay(root, "runs", "export", "-o", "a.zip")
    assert said.out.startswith("Wrote 1 run and 0 artifacts to a.zip")
    assert "1 artifact and 2 other files left out: not here; 'assay fetch --artifacts'" in said.err


def test_patches_that_come_after_their_run_are_told_of(tmp_path: Path, root: Path):
    changed(root)
    make.done(root, "runs", "export", "-o", "a.zip")
    said = make.done(root, "runs", "export", "--no-artifacts", "-o", "b.zip")
    assert said.startswith("Wrote 1 run to b.zip (")
    other = make.project(tmp_path / "other")
    make.done(other, "runs", "import", str(root / "b.zip"))
    Project(other).objects.add(b"weights")
    said = make.done(other, "runs", "import", str(root / "a.zip"))
    assert said == "Imported 2 other files.\n"
    assert (
        make.done(other, "runs", "import", str(root / "a.zip")) == "All of it is here already.\n"
    )


def test_data_in_memory_is_not_missed_in_a_file(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(root)
    make.write(root, {"rows.csv": "a\n1\n"})
    with assay.run("reads"):
        assay.log_dataset({"a": [1]}, name="mem")
        assay.log_dataset("rows.csv")
    done = make.assay(root, "runs", "export", "latest", "--json", "-o", "all.zip")
    found = json.loads(done.out)
    assert (done.code, found["missing"], found["others_missing"]) == (0, 0, 0)
    assert "left out" not in done.err
    other = make.project(root.parent / "other")
    make.done(other, "runs", "import", str(root / "all.zip"))
    with opened(other) as ledger:
        read = runs.get(ledger, "latest").inputs
    assert [one.path for one in read] == ["mem", "rows.csv"]


def test_an_export_of_an_experiment_has_all_runs_with_their_parts(tmp_path: Path, root: Path):
    with opened(root) as ledger:
        top = Writer(ledger).start_run(name="top", kind="script", experiment="tries")
        part = recorded(root, "part", {}, parent=top)
        Writer(ledger).finish_run(top, status="finished")
    recorded(root, "other", {})
    make.done(root, "runs", "export", "--experiment", "tries", "-o", "../all.zip")
    make.done(root, "runs", "export", part, "-o", "../part.zip")
    for name, count in (("all", 3), ("part", 2)):
        other = make.project(tmp_path / name)
        said = make.done(other, "runs", "import", str(tmp_path / f"{name}.zip"))
        assert said == f"Imported {count} new runs.\n"


def test_all_runs_are_exported_but_those_that_go_on_and_deleted_ones(tmp_path: Path, root: Path):
    with opened(root) as ledger:
        top = Writer(ledger).start_run(name="top", kind="script", experiment="tries")
        recorded(root, "part", {}, parent=top)
        Writer(ledger).finish_run(top, status="finished")
        Writer(ledger).start_run(name="long", kind="script")
    gone = recorded(root, "gone", {})
    kept = recorded(root, "other", {"model": b"weights"})
    make.done(root, "runs", "delete", gone)
    shown = make.assay(root, "runs", "export", "--all", "-o", "all.zip")
    assert (shown.code, shown.out.split(" to ")[0]) == (0, "Wrote 3 runs and 1 artifact")
    assert "1 run goes on and is left out; export again when it has ended" in shown.err
    facts = json.loads(make.done(root, "runs", "export", "--all", "-f", "-o", "all.zip", "--json"))
    assert (facts["runs"], facts["running"], facts["ids"][-1]) == (3, 1, kept)
    other = make.project(tmp_path / "everything")
    assert make.done(other, "runs", "import", str(root / "all.zip")) == (
        "Imported 3 new runs, 1 artifact.\n"
    )


def test_an_export_without_a_word_says_that_it_took_the_latest_run(root: Path):
    recorded(root, "a", {})
    latest = recorded(root, "b", {})
    shown = make.assay(root, "runs", "export", "-o", "a.zip")
    assert shown.err == "  this is the latest run alone, with its parts; '--all' takes all runs\n"
    facts = json.loads(make.done(root, "runs", "export", "-o", "b.zip", "--json"))
    assert facts["ids"] == [latest]


@pytest.mark.parametrize("arguments", [("latest",), ("--experiment", "tries")])
def test_an_export_of_all_takes_no_other_choice(root: Path, arguments: tuple[str, ...]):
    recorded(root, "a", {})
    shown = make.assay(root, "runs", "export", "--all", *arguments, "-o", "a.zip")
    assert shown.code == 2
    assert "'--all' means all runs" in shown.err
    assert not (root / "a.zip").exists()


def test_an_export_of_an_experiment_that_is_not_there_names_a_near_one(root: Path):
    recorded(root, "a", {})
    shown = make.assay(root, "runs", "export", "--experiment", "trys", "-o", "a.zip")
    assert "there is no experiment 'trys'\n  hint: did you mean 'tries'?" in shown.err
    assert not (root / "a.zip").exists()


def test_records_alone_are_exported_and_imported(tmp_path: Path, root: Path):
    run = recorded(root, "a", {"model": b"weights"})
    make.done(root, "runs", "export", "--no-artifacts")
    [file] = root.glob("runs-*.zip")
    assert file.name == f"runs-{run[:13]}.zip"
    other = make.project(tmp_path / "other")
    assert make.done(other, "runs", "import", str(file)) == "Imported 1 new run.\n"
    said = make.assay(other, "runs", "export", "-o", "x.zip")
    assert "1 artifact left out: not here" in said.err


def test_a_file_is_not_written_over_unless_that_is_asked(root: Path):
    recorded(root, "a", {})
    make.write(root, {"x.zip": "mine"})
    said = make.assay(root, "runs", "export", "-o", "x.zip")
    assert said.code == 255
    assert "x.zip: the file is there already" in said.err
    assert (root / "x.zip").read_text() == "mine"
    make.done(root, "runs", "export", "-o", "x.zip", "--force")
    assert zipfile.is_zipfile(root / "x.zip")


def test_a_run_that_goes_on_is_not_exported(root: Path):
    with opened(root) as ledger:
        run = Writer(ledger).start_run(name="long", kind="script")
    said = make.assay(root, "runs", "export", run, "-o", "x.zip")
    assert said.code == 255
    assert "export it when it has ended" in said.err
    assert not (root / "x.zip").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_another_file_is_refused_and_nothing_is_changed(root: Path, content: bytes):
    make.write(root, {"x.zip": content})
    said = make.assay(root, "runs", "import", "x.zip")
    assert said.code == 255
    assert "x.zip: this is no file of 'assay runs export', or it is damaged" in said.err
    assert not Project(root).ledger_path.exists()


def test_a_missing_file_is_said_to_be(root: Path):
    said = make.assay(root, "runs", "import", "x.zip")
    assert (said.code, "x.zip: there is no such file" in said.err) == (255, True)


def test_an_archive_with_a_forged_object_or_record_is_refused(tmp_path: Path, root: Path):
    recorded(root, "a", {"model": b"weights"})
    make.done(root, "runs", "export", "-o", "a.zip")
    with zipfile.ZipFile(root / "a.zip") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    [name] = [name for name in held if name != "records"]
    other = make.project(tmp_path / "other")
    for bad in ({name: b"forged"}, {"records": held["records"][:50]}, {"records": b""}):
        with zipfile.ZipFile(other / "bad.zip", "w") as archive:
            for key, content in (held | bad).items():
                archive.writestr(key, content)
        assert make.assay(other, "runs", "import", "bad.zip").code == 255
        assert not Project(other).ledger_path.exists()
    with zipfile.ZipFile(other / "ok.zip", "w") as archive:
        for key, content in held.items():
            archive.writestr(key, content)
        archive.writestr("../../evil", b"evil")
        archive.writestr("objects/../../../evil", b"evil")
    assert make.done(other, "runs", "import", "ok.zip").startswith("Imported 1 new run")
    assert not list(tmp_path.rglob("evil"))


def damaged_archives(good: bytes) -> dict[str, bytes]:
    """Return an archive with one thing wrong with it each."""
    directory = good.index(b"PK\x01\x02")
    last = good.rindex(b"PK\x01\x02")
    data = good.index(b"objects/") + len(b"objects/") + 65
    return {
        "packed bytes": good[:data] + bytes(4) + good[data + 4 :],
        "encrypted": good[: directory + 8] + b"\x01" + good[directory + 9 :],
        "a packer nobody knows": good[: last + 10] + b"\x63" + good[last + 11 :],
        "packed otherwise": good[: last + 10] + b"\x0e" + good[last + 11 :],
        "packed as bzip2": good[: last + 10] + b"\x0c" + good[last + 11 :],
        "cut off": good[: len(good) // 2],
        "no end": good[:-30],
        "an offset that is none": good[:-6] + b"\xff\xff\xff\x7f" + good[-2:],
    }


@pytest.mark.parametrize("what", damaged_archives(b"objects/PK\x01\x02"))
def test_a_damaged_archive_is_refused_and_no_run_is_taken(tmp_path: Path, root: Path, what: str):
    recorded(root, "a", {"model": b"weights " * 99})
    make.done(root, "runs", "export", "-o", "a.zip")
    other = make.project(tmp_path / "other")
    make.write(other, {"x.zip": damaged_archives((root / "a.zip").read_bytes())[what]})
    said = make.assay(other, "runs", "import", "x.zip")
    assert said.code == 255
    assert said.err.startswith(
        "error: x.zip: this is no file of 'assay runs export', or it is damaged\n"
        "  hint: export it again"
    )
    assert not Project(other).ledger_path.exists()


def test_import_wants_to_know_where_from(root: Path):
    for arguments in ([], ["x.zip", "--mlflow", "mlruns"]):
        said = make.assay(root, "runs", "import", *arguments)
        assert said.code == 2
        assert "a FILE, or '--mlflow STORE'" in said.err


def test_the_folder_of_a_hub_is_written_to_and_purged_without_a_project(
    tmp_path: Path, root: Path
):
    run = recorded(root, "a", {"model": b"weights"})
    make.done(root, "runs", "export", run, "-o", "../a.zip")
    hub = ["--directory", "hub"]
    assert make.done(tmp_path, "runs", "import", "a.zip", *hub) == (
        "Imported 1 new run, 1 artifact.\n"
    )
    [kept] = (tmp_path / "hub" / "objects" / "sha256").glob("*/*")
    assert kept.read_bytes() == b"weights"
    make.done(tmp_path, "runs", "export", run, *hub, "-o", "b.zip")
    make.done(tmp_path, "runs", "delete", run, *hub)
    make.done(tmp_path, "runs", "restore", run, *hub)
    make.done(tmp_path, "runs", "delete", run, *hub)
    made_long_ago(tmp_path / "hub" / "objects" / "sha256")
    said = make.done(tmp_path, "runs", "purge", "--force", *hub)
    assert said == "Purged 1 run and freed 1 artifact (7 B).\n"
    assert not kept.exists()
    assert zipfile.is_zipfile(tmp_path / "b.zip")


def test_a_folder_in_which_no_hub_was_is_said_to_be(tmp_path: Path):
    for command in (["delete", "x"], ["purge"], ["export", "x"]):
        said = make.assay(tmp_path, "runs", *command, "--directory", "nowhere")
        assert said.code == 255
        assert "nowhere: no hub has recorded anything here" in said.err
    assert not (tmp_path / "nowhere").exists()


def test_what_a_record_says_cannot_steer_the_terminal(root: Path):
    with opened(root) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name="a\x1b]0;title\x07b", kind="script")
        writer.set_tags(run, {"t\x1b[2J": "x\ry"})
        log = "\x1b[31mred\x1b[0m\x1b[2J\n"
        writer.finish_run(run, status="failed", reason="no\x08", log_tail=log)
    shown = make.done(root, "runs", "show", run)
    assert r"a\x1b]0;title\x07b" in shown
    assert r"x\ry" in shown
    assert "\x1b[31mred\x1b[0m" in shown
    assert not {"\x1b[2J", "\x07", "\x08", "\r"} & {
        shown[i : i + n] for i in range(len(shown)) for n in (1, 4)
    }
    assert "\x1b" not in make.done(root, "runs", "list")


def test_the_name_of_an_experiment_cannot_steer_the_terminal(root: Path):
    name = "e\x1b]0;title\x07"
    with opened(root) as ledger:
        writer = Writer(ledger)
        writer.finish_run(
            writer.start_run(name="a", kind="script", experiment=name), status="failed"
        )
    shown = r"the experiment 'e\x1b]0;title\x07'"
    assert shown in make.done(root, "runs", "delete", "--experiment", name)
    assert shown in make.done(root, "runs", "restore", "--experiment", name)
    make.done(root, "runs", "delete", "--experiment", name)
    dry = make.done(root, "runs", "purge", "--dry")
    assert shown.removeprefix("the ") in dry
    asked = make.assay(root, "runs", "purge")
    assert not {"\x1b", "\x07"} & {*dry, *asked.err}


def test_numbers_that_json_has_not_are_words(root: Path):
    values = {"up": math.inf, "down": -math.inf, "none": math.nan, "half": 0.5}
    with opened(root) as ledger:
        writer = Writer(ledger)
        for loss in (values, {**values, "up": 1.0}):
            run = writer.start_run(name="a", kind="script")
            writer.log_params(run, {"rate": math.nan, "steps": [1.5, math.inf]})
            writer.log_metrics(run, [Metric(key=k, value=v, at=1) for k, v in loss.items()])
            writer.finish_run(run, status="finished")
    shown = json.loads(make.done(root, "runs", "show", "latest~1", "--json"))["run"]
    found = {key: one["value"] for key, one in shown["metrics"].items()}
    assert found == {"up": "Infinity", "down": "-Infinity", "none": "NaN", "half": 0.5}
    assert shown["params"] == {"rate": "NaN", "steps": [1.5, "Infinity"]}
    diff = json.loads(make.done(root, "runs", "diff", "--json"))["diff"]
    assert [(one["a"], one["b"]) for one in diff["metrics"]] == [("Infinity", 1.0)]


def test_a_parameter_that_is_none_is_not_one_that_is_absent(root: Path):
    with opened(root) as ledger:
        writer = Writer(ledger)
        for params in ({"p": None}, {"q": None}):
            run = writer.start_run(name="a", kind="script")
            writer.log_params(run, params)
            writer.finish_run(run, status="finished")
    text = make.done(root, "runs", "diff")
    assert re.search(r"^p +None +-$", text, re.MULTILINE), text
    assert re.search(r"^q +- +None$", text, re.MULTILINE), text


def registered_in_mlflow(folder: Path) -> Path:
    """Make a store of MLflow's with a registered version; MLflow 3 writes its files so."""
    make.write(folder, {
        "mlruns/models/churn/meta.yaml": "name: churn\ncreation_timestamp: 1\n"
        "last_updated_timestamp: 1\n",
        "mlruns/models/churn/version-1/meta.yaml": "name: churn\nversion: 1\ncurrent_stage: None\n"
        "creation_timestamp: 1\nlast_updated_timestamp: 1\nsource: s3://b/x\nstatus: READY\n",
    })  # fmt: skip
    return folder / "mlruns"


def test_of_versions_of_mlflow_it_is_said_how_they_are_loaded(tmp_path: Path, root: Path):
    store = str(registered_in_mlflow(tmp_path / "theirs"))
    said = make.assay(root, "runs", "import", "--mlflow", store)
    assert (said.code, said.out) == (0, "Imported 1 registered version.\n")
    assert "are no bundles: MLflow loads them from 'assay hub', as" in said.err
    assert 'mlflow.pyfunc.load_model("models:/NAME/VERSION")' in said.err
    assert 'assay.load("models:/NAME/VERSION") returns the' in said.err
    again = make.assay(root, "runs", "import", "--mlflow", store)
    assert (again.out, again.err) == ("All of it is here already.\n", "")
    elsewhere = ("--mlflow", store, "--directory", "hub")
    assert "from 'assay hub --directory DIR'" in make.assay(root, "runs", "import", *elsewhere).err
