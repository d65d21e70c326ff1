"""A thing followed to what it came from and what came from it, by stored hashes alone."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.base.errors import Error
from assay.ledger.database import open_ledger
from assay.project import workspace
from assay.trace import naming, things, tree
from tests import make, stages


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stages, committed after they ran."""
    folder, _ = stages.three_ran(tmp_path_factory.mktemp("ran"))
    make.commit(folder, "ran")
    return folder


def trace(folder: Path, thing: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(make.done(folder, "trace", "--json", thing))
    return found


def lines(nodes: list[dict[str, Any]], depth: int = 0) -> list[str]:
    """Return a tree as lines, without what is different each time."""
    found = []
    for node in nodes:
        kind = node["id"].partition(":")[0]
        words = node["label"].split("  ")
        label = {
            "run": words[0].partition(": ")[2] + ("..." if len(words) > 1 else ""),
            "commit": "commit",
            "git": "in git",
            "tracked": node["label"].partition(" at")[0],
        }
        found.append(f"{'  ' * depth}{node['relation']} {label.get(kind, words[0])}".rstrip())
        found += lines(node["children"], depth + 1)
    return found  # fmt: skip


SOURCES_OF_MODEL = [
    "written by stage 'train'",
    "  read clean.csv",
    "    written by stage 'prep'",
    "      read data.csv",
    "        is tracked by data.csv.dvc",
    "      code of commit",
    "  with parameters lr=0.1, seed=7",
    "  code of commit",
]


def test_an_output_is_followed_down_to_data_parameters_and_commit(ran: Path):
    found = trace(ran, "model.txt")
    assert found["thing"]["id"] == f"data:md5:{stages.out_oid(ran, 'model.txt')}"
    assert lines(found["came_from"]) == SOURCES_OF_MODEL
    assert lines(found["led_to"]) == [
        "read by stage 'evaluate'", "  wrote metrics.json", "  logged metric size = 24",
    ]  # fmt: skip


def test_the_ids_in_a_trace_are_those_of_the_records(ran: Path):
    found = trace(ran, "model.txt")
    (stage,) = found["came_from"]
    (prep,) = stage["children"][0]["children"]
    data, commit = prep["children"]
    entry = stages.locked(ran)["prep"]
    first = make.git(ran, "rev-list", "--max-parents=0", "HEAD").strip()
    assert data["id"] == f"data:md5:{entry['deps'][0]['md5']}"
    assert commit["id"] == f"commit:{first}"
    assert data["children"][0]["id"] == f"tracked:{first}:data.csv.dvc"
    shown = json.loads(make.done(ran, "runs", "show", stage["id"].partition(":")[2], "--json"))
    assert shown["run"]["stage"] == "train"


def test_a_metric_is_followed_from_the_stage_that_logged_it(ran: Path):
    found = trace(ran, "size")
    assert found["thing"]["kind"] == "metric"
    assert lines(found["came_from"])[:3] == [
        "logged by stage 'evaluate'", "  read model.txt", "    written by stage 'train'",
    ]  # fmt: skip
    assert found["led_to"] == []
    run = json.loads(make.done(ran, "runs", "list", "--json"))[0]["id"]
    assert trace(ran, f"{run[:20]}:size") == found


def test_a_run_leads_to_what_its_stages_made(ran: Path):
    found = trace(ran, "latest")
    assert lines(found["led_to"]) == [
        "ran stage 'prep'", "  wrote clean.csv", "    read by stage 'train'",
        "      wrote model.txt", "        read by stage 'evaluate'",
        "          wrote metrics.json", "          logged metric size = 24",
        "ran stage 'train'...", "ran stage 'evaluate'...",
    ]  # fmt: skip
    assert lines(found["came_from"]) == [
        "has part stage 'prep'", "  read data.csv", "    is tracked by data.csv.dvc",
        "  code of commit",
        "has part stage 'train'", "  read clean.csv", "    written by stage 'prep'...",
        "  with parameters lr=0.1, seed=7", "  code of commit",
        "has part stage 'evaluate'", "  read model.txt", "    written by stage 'train'...",
        "  code of commit",
        "code of commit",
    ]  # fmt: skip


def test_data_leads_to_all_that_was_made_of_it(ran: Path):
    found = trace(ran, "data.csv")
    assert lines(found["came_from"]) == ["is tracked by data.csv.dvc"]
    assert lines(found["led_to"])[:3] == [
        "read by stage 'prep'", "  wrote clean.csv", "    read by stage 'train'",
    ]  # fmt: skip


def test_a_file_at_a_revision_is_the_version_of_then(ran: Path, tmp_path: Path):
    folder = shutil.copytree(ran, tmp_path / "project", symlinks=True)
    then = trace(folder, "model.txt")
    old = trace(folder, "data.csv")
    make.write(folder, {"data.csv": "new,1\n", "params.yaml": "lr: 0.2\nseed: 7\n"})
    make.done(folder, "repro")
    make.commit(folder)
    assert trace(folder, "model.txt")["thing"]["id"] != then["thing"]["id"]
    assert lines(trace(folder, "model.txt")["came_from"])[-2] == "  with parameters lr=0.2, seed=7"
    assert trace(folder, "model.txt@HEAD~1") == then
    assert trace(folder, "data.csv@HEAD~1")["led_to"] == old["led_to"]
    in_git = trace(folder, "params.yaml@HEAD~1")
    assert in_git["thing"]["path"] == "params.yaml"


def test_a_reproduction_does_not_hide_the_first_run(ran: Path, tmp_path: Path):
    folder = shutil.copytree(ran, tmp_path / "project", symlinks=True)
    before = trace(folder, "model.txt")["came_from"]
    make.done(folder, "reproduce")
    assert trace(folder, "model.txt")["came_from"] == before
    assert lines(trace(folder, "latest")["came_from"])[:4] == [
        "has part stage 'prep'", "  read data.csv", "    is tracked by data.csv.dvc",
        "  code of commit",
    ]  # fmt: skip


def test_where_an_edge_is_not_on_record_it_says_unknown(ran: Path, tmp_path: Path):
    folder = shutil.copytree(ran, tmp_path / "project", symlinks=True)
    make.write(folder, {"by-hand.txt": "1\n", "model.txt": "made by hand\n"})
    why = "unknown: no run of this ledger wrote it, and it is not in git's HEAD"
    for thing in ("by-hand.txt", "model.txt"):
        (node,) = trace(folder, thing)["came_from"]
        assert (node["label"], node["relation"]) == (why, "")
        assert trace(folder, thing)["led_to"] == []
    shown = make.done(folder, "trace", "model.txt")
    assert f"came from:\n└─ {why}" in shown
    assert "led to: nothing on record" in shown
    for path in (folder / ".assay").glob("ledger.db*"):
        path.unlink()
    make.git(folder, "checkout", "-q", "--", ".")
    make.done(folder, "checkout", "-f")
    (node,) = trace(folder, "model.txt")["came_from"]
    commit = make.git(folder, "rev-parse", "HEAD").strip()[:12]
    assert node["label"] == (
        f"unknown: no run of this ledger wrote it; dvc.lock at commit {commit} says that stage "
        "'train' did"
    )
    assert lines(trace(folder, "data.csv")["came_from"]) == ["is tracked by data.csv.dvc"]
    assert lines(trace(folder, "params.yaml")["came_from"]) == ["is in git"]


READS = """
stages:
  reads:
    cmd: cat kept.txt patched.txt src/a src/sub/b > out.txt; cat data.csv more/m.csv >> out.txt
    deps: [kept.txt, patched.txt, src, data.csv, more, outside]
    outs: [out.txt]
"""


def test_what_a_run_read_is_followed_into_git_patch_and_kept_files(tmp_path: Path):
    files = {
        "patched.txt": "1\n", "src/a": "a\n", "src/sub/b": "b\n", "more/readme": "r\n",
        "more/m.csv": "m\n", "data.csv": "d\n", "outside": "ignored\n", ".gitignore": "/outside\n",
    }  # fmt: skip
    folder = make.write(make.project(tmp_path / "project"), {**files, "dvc.yaml": READS})
    make.done(folder, "add", "data.csv", "more/m.csv")
    make.commit(folder)
    make.write(folder, {"patched.txt": "2\n", "kept.txt": "k\n", "data.csv": "new\n"})
    make.done(folder, "repro")
    found = trace(folder, "out.txt")["came_from"][0]["children"]
    origins = {
        node["label"].partition("  ")[0]: node["children"][0]["label"]
        for node in found
        if node["id"].startswith("data:")
    }
    commit = make.git(folder, "rev-parse", "HEAD").strip()[:12]
    run = json.loads(make.done(folder, "runs", "list", "--json"))[0]["id"][:13]
    assert origins == {
        "kept.txt": "kept.txt, untracked by git then, kept with the run",
        "patched.txt": f"the uncommitted changes of run {run}",
        "data.csv": f"the uncommitted changes of run {run}",
        "src": f"in git at commit {commit}",
        "more": f"in git at commit {commit}",
        "outside": "unknown: no run of this ledger wrote it, and its commit does not have it",
    }


def test_a_trace_is_drawn_with_lines_and_as_a_flowchart(ran: Path):
    text = make.done(ran, "trace", "model.txt")
    assert text.startswith("model.txt  md5:")
    assert "\n└─ written by run " in text
    assert "\n   ├─ read clean.csv" in text
    chart = make.done(ran, "trace", "--mermaid", "model.txt").splitlines()
    assert chart[0] == "flowchart TD"
    nodes = [line for line in chart if '["' in line]
    edges = [line for line in chart if "-->" in line]
    assert len(nodes) + len(edges) + 1 == len(chart)
    assert len(set(edges)) == len(edges)
    assert nodes[0].startswith('\tnode1["model.txt  md5:')
    names = {line.strip().partition("[")[0] for line in nodes}
    assert {end for line in edges for end in line.strip().split("-->")} <= names


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("modle.txt", "'modle.txt' is neither a path, nor a run, nor a metric", "see 'assay runs"),
        ("sice", "'sice' is neither a path, nor a run, nor a metric", "did you mean 'size'?"),
        ("latest:sice", "has no metric 'sice'", "did you mean 'size'?"),
        ("model.txt@nowhere", "git knows no revision 'nowhere'", "see 'git log'"),
        ("new.txt@HEAD", "'new.txt' was neither tracked nor in git then", None),
    ],
)
def test_what_cannot_be_found_is_said_with_the_nearest_name(
    ran: Path, name: str, what: str, hint: str | None
):
    shown = make.assay(ran, "trace", name)
    assert shown.code == 255
    assert what in shown.err
    if hint:
        assert hint in shown.err


def test_an_output_that_is_not_here_is_traced_by_its_record(ran: Path, tmp_path: Path):
    folder = shutil.copytree(ran, tmp_path / "project", symlinks=True)
    (folder / "model.txt").unlink()
    assert lines(trace(folder, "model.txt")["came_from"]) == SOURCES_OF_MODEL


def test_a_trace_without_a_ledger_makes_none(tmp_path: Path):
    folder, _ = stages.three(tmp_path)
    assert lines(trace(folder, "data.csv")["came_from"]) == ["is tracked by data.csv.dvc"]
    assert make.assay(folder, "trace", "latest").code == 255


def test_a_metric_thing_names_its_run(ran: Path):
    project = workspace.find(ran)
    with open_ledger(project.ledger_path) as ledger:
        found = naming.find(project, ledger, "size", cwd=ran)
        assert things.run_id(found) == found.run
        assert tree.trace(project, ledger, found).thing == found
    with pytest.raises(Error, match="belongs to no run"):
        things.run_id(things.of_data("md5:" + 32 * "0", path="x"))


def test_a_number_in_a_file_is_followed_by_the_content_of_the_file(ran: Path, tmp_path: Path):
    folder = shutil.copytree(ran, tmp_path / "project", symlinks=True)
    found = trace(folder, "metrics.json:size")
    assert found["thing"]["label"] == "metric metrics.json:size = 24"
    assert lines(found["came_from"])[:2] == [
        "read from metrics.json", "  written by stage 'evaluate'",
    ]  # fmt: skip
    assert trace(folder, "metrics.json@HEAD:size")["came_from"] == found["came_from"]
    make.write(folder, {"metrics.json": '{"size": 25}'})
    assert trace(folder, "metrics.json:size")["came_from"][0]["children"][0]["relation"] == ""
    assert trace(folder, "metrics.json@HEAD:size")["came_from"] == found["came_from"]
    (folder / "metrics.json").unlink()
    assert trace(folder, "metrics.json:size")["came_from"] == found["came_from"]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("metrics.json:sise", "metrics.json: there is no number 'sise' in it\n  hint: did you"),
        ("params.yaml:xyz", "params.yaml: there is no number 'xyz' in it\n  hint: it has lr, s"),
        ("nothing.json:a", "'nothing.json' is neither a path, nor a run"),
    ],
)
def test_a_number_that_a_file_does_not_have_is_said(ran: Path, name: str, what: str):
    shown = make.assay(ran, "trace", name)
    assert shown.code == 255
    assert what in shown.err


@pytest.fixture
def nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script's run with an input and a parameter of its own, and a run within it."""
    folder = make.project(tmp_path / "project")
    make.write(folder, {"in.txt": "1\n"})
    make.commit(folder)
    monkeypatch.chdir(folder)
    with assay.run("nested", params={"alpha": 1}):
        assay.log_dataset("in.txt")
        assay.log_metric("mm", 1)
        with assay.run("kid", params={"beta": 2}):
            assay.log_metric("mm", 2)
    return folder


def test_what_a_run_read_itself_stands_beside_the_runs_within_it(nested: Path):
    found = trace(nested, "mm")
    assert found["thing"]["label"] == "metric mm = 1"
    assert lines(found["came_from"]) == [
        "logged by script 'nested'", "  read in.txt", "    is in git",
        "  has part script 'kid'", "    with parameters beta=2", "    code of commit",
        "  with parameters alpha=1", "  code of commit",
    ]  # fmt: skip
    assert lines(trace(nested, "latest")["came_from"])[0] == "read in.txt"


def test_a_commit_that_only_another_clone_has_is_not_said_to_lack_a_file(
    nested: Path, tmp_path: Path
):
    make.done(nested, "runs", "export", "latest", "-o", str(tmp_path / "run.zip"))
    other = make.project(tmp_path / "other")
    make.commit(other)
    make.done(other, "runs", "import", str(tmp_path / "run.zip"))
    (read,) = [one for one in trace(other, "latest")["came_from"] if one["relation"] == "read"]
    short = make.git(nested, "rev-parse", "HEAD")[:12]
    assert [one["label"] for one in read["children"]] == [
        f"unknown: no run of this ledger wrote it, and this clone does not have its commit {short}"
    ]


def test_a_run_and_its_part_have_one_arrow_between_them(nested: Path):
    chart = make.done(nested, "trace", "--mermaid", "latest").splitlines()
    edges = {tuple(line.strip().split("-->")) for line in chart if "-->" in line}
    assert len(edges) > 3
    assert not any((target, source) in edges for source, target in edges)


def test_the_arrow_between_a_run_and_its_part_says_what_ran_what(nested: Path):
    def arrows(thing: str) -> set[tuple[str, str]]:
        chart = make.done(nested, "trace", "--mermaid", thing).splitlines()
        names = dict(re.findall(r"\t(node\d+)\[\".*'(nested|kid)'.*\"\]", "\n".join(chart)))
        ends = [line.strip().split("-->") for line in chart if "-->" in line]
        return {(names[a], names[b]) for a, b in ends if a in names and b in names}

    kid = json.loads(make.done(nested, "runs", "show", "latest", "--json"))["children"][0]["id"]
    for thing in ("latest", kid, "in.txt", f"{kid}:mm"):
        assert arrows(thing) == {("nested", "kid")}, thing
    text = make.done(nested, "trace", "latest")
    above, _, below = text.partition("led to:")
    assert ("has part run" in above, "ran run" in above) == (True, False)
    assert ("has part run" in below, "ran run" in below) == (False, True)


def test_a_flowchart_as_json_is_wrong_usage(nested: Path):
    shown = make.assay(nested, "trace", "latest", "--json", "--mermaid")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "error: '--mermaid' and '--json' are two forms: choose one\n"


def test_runs_that_are_part_of_each_other_in_a_ledger_of_before_have_an_end(nested: Path):
    kid = json.loads(make.done(nested, "runs", "show", "latest", "--json"))["children"][0]["id"]
    with sqlite3.connect(nested / ".assay" / "ledger.db") as ledger:
        ledger.execute("update run set parent_id = ? where parent_id is null", [kid])
        ledger.execute("update run set code_commit = null, code_reason = 'no commit'")
    ledger.close()
    text = make.done(nested, "trace", kid)
    assert "unknown: no commit" in text


def test_a_deleted_run_is_said_to_be_deleted(nested: Path):
    run = json.loads(make.done(nested, "runs", "list", "--json"))[0]["id"]
    make.done(nested, "runs", "delete", run)
    for name in (run, run[:13], f"run:{run}", f"{run}:mm"):
        shown = make.assay(nested, "trace", name)
        assert shown.code == 255
        assert f"the run {run} (nested) is deleted" in shown.err
        assert f"assay runs restore {run[:13]}" in shown.err
    make.done(nested, "runs", "restore", run[:13])
    assert trace(nested, run)["thing"]["id"] == f"run:{run}"


def test_a_run_that_was_purged_is_said_to_be_gone(nested: Path):
    run = json.loads(make.done(nested, "runs", "list", "--json"))[0]["id"]
    make.done(nested, "runs", "delete", run)
    make.done(nested, "runs", "purge", run, "--force")
    for name in (run, f"run:{run}"):
        shown = make.assay(nested, "trace", name)
        assert shown.code == 255
        assert f"the run {run} was purged, and cannot be brought back" in shown.err
    assert "neither a path, nor a run" in make.assay(nested, "trace", run[:4]).err
