"""Options of commands on data: what they refuse, and what they print."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import make, stages

WRONG = {
    ("add", "--no-relink", "--out", "b", "a"): "'--no-relink' cannot be used with '--out'",
    ("fetch", "--max-size", "0"): "--max-size",
    ("fetch", "--type", "params"): "--type",
    ("remote", "list", "--local", "--project"): "two files: choose one",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_cannot_be_meant_is_a_wrong_call(project: Path, arguments: tuple[str, ...]):
    make.write(project, {"a": "1"})
    before = make.state(project)
    shown = make.assay(project, *arguments)
    assert (shown.code, shown.out) == (2, "")
    assert WRONG[arguments] in shown.err
    assert make.state(project) == before


def test_an_output_as_large_as_the_limit_is_not_fetched(project: Path, tmp_path: Path):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"small": "1", "large": "22"})
    make.done(project, "add", "small", "large")
    make.done(project, "push")
    for oid in list(make.cache(project)):
        make.cache(project).remove(oid)
    assert make.done(project, "fetch", "--max-size", "2") == "1 file fetched\n"
    assert make.done(project, "fetch", "--max-size", "2") == "Everything is up to date.\n"
    assert make.done(project, "fetch") == "1 file fetched\n"


def test_a_commit_by_force_records_stages_that_were_run_by_hand(tmp_path: Path):
    root = stages.pipeline(
        tmp_path / "p",
        "stages:\n  copy:\n    cmd: cp data.csv out\n    deps: [data.csv]\n    outs: [out]\n",
        {"data.csv": "1"},
    )
    make.write(root, {"out": "by hand"})
    assert make.done(root, "commit") == ""
    assert not (root / "dvc.lock").exists()
    make.done(root, "commit", "--force")
    assert make.done(root, "status") == "Data and pipelines are up to date.\n"
    assert "/out" in (root / ".gitignore").read_text()
    make.write(root, {"data.csv": "2"})
    make.done(root, "add", "--no-profile", "data.csv")
    assert "modified:           data.csv" in make.done(root, "status")
    make.done(root, "commit", "--force", "copy")
    assert make.done(root, "status") == "Data and pipelines are up to date.\n"


def test_a_stage_without_its_outputs_is_not_recorded(tmp_path: Path):
    root = stages.pipeline(
        tmp_path / "p",
        "stages:\n  copy:\n    cmd: cp data.csv out\n    deps: [data.csv]\n    outs: [out]\n",
        {"data.csv": "1"},
    )
    before = make.state(root)
    shown = make.assay(root, "commit", "--force")
    assert shown.code == 255
    assert "stage 'copy' has not run yet: there is no 'out'" in shown.err
    assert "hint: run it with 'assay repro copy'" in shown.err
    assert make.state(root) == before


def test_without_refreshing_a_remote_that_was_never_asked_is(project: Path, tmp_path: Path):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"f": "1"})
    make.done(project, "add", "f")
    ask = ("data", "status", "--not-in-remote", "--no-remote-refresh", "--json")
    assert json.loads(make.done(project, *ask))["not_in_remote"] == ["f"]
    make.done(project, "push")
    assert json.loads(make.done(project, *ask))["not_in_remote"] == ["f"]
    assert "not_in_remote" not in json.loads(make.done(project, *ask[:3], "--json"))
    assert "not_in_remote" not in json.loads(make.done(project, *ask))


def test_what_a_remote_lacks_is_asked_of_the_remote_of_each_output(project: Path, tmp_path: Path):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "one"))
    make.done(project, "remote", "add", "two", str(tmp_path / "two"))
    make.write(project, {"a": "1", "b": "2"})
    make.done(project, "add", "a", "b")
    record = project / "b.dvc"
    record.write_text(record.read_text() + "  remote: two\n")
    ask = ("data", "status", "--not-in-remote", "--json")
    assert json.loads(make.done(project, *ask))["not_in_remote"] == ["a", "b"]
    make.done(project, "push")
    assert "not_in_remote" not in json.loads(make.done(project, *ask))
    assert "not_in_remote" not in json.loads(make.done(project, *ask, "-r", "st"))
    assert json.loads(make.done(project, *ask, "-r", "two"))["not_in_remote"] == ["a"]
    shown = make.assay(project, *ask, "-r", "tow")
    assert shown.code == 255
    assert "did you mean 'two'?" in shown.err


def test_what_git_should_get_can_be_pasted_whatever_its_name(project: Path):
    make.write(project, {"-dash.txt": "1", "two words": "2"})
    shown = make.assay(project, "add", "./-dash.txt", "two words")
    line = shown.err.strip().splitlines()[-1].strip()
    assert line == "git add ./-dash.txt.dvc .gitignore 'two words.dvc'"
    subprocess.run(shlex.split(line), cwd=project, check=True)


def test_an_option_of_a_remote_that_is_not_there_is_refused_with_the_nearest_name(project: Path):
    make.done(project, "remote", "add", "store", "../x")
    before = make.state(project)
    shown = make.assay(project, "remote", "modify", "stoer", "url", "../y")
    assert shown.code == 255
    assert "there is no remote 'stoer'" in shown.err
    assert "did you mean 'store'?" in shown.err
    assert make.state(project) == before


def test_a_plain_folder_means_the_data_in_it(project: Path):
    make.write(project, {"b/one": "1", "b/two": "2", "c": "3"})
    make.done(project, "add", "b/one", "b/two", "c")
    make.write(project, {"b/one": "changed", "c": "changed"})
    assert list(json.loads(make.done(project, "status", "--json", "b"))) == ["b/one.dvc"]
    (project / "empty").mkdir()
    shown = make.assay(project, "status", "empty")
    assert shown.code == 255
    assert "'empty' is neither a stage nor a tracked path" in shown.err


def test_a_negative_value_has_a_hint_that_can_be_pasted(project: Path):
    shown = make.assay(project, "config", "core.checksum_jobs", "-3")
    assert shown.code == 2
    assert "'-3' looks like an option" in shown.err
    assert "config core.checksum_jobs -- -3" in shown.err
    assert "no such option" in make.assay(project, "config", "-9x").err.lower()


def test_after_destroying_the_lines_that_stay_are_named(project: Path):
    make.write(project, {"b/one": "1", "two": "2"})
    make.done(project, "add", "b/one", "two")
    shown = make.assay(project, "destroy", "-f")
    assert (
        "git still ignores these data: their lines in b/.gitignore, .gitignore stay" in shown.err
    )
    assert (project / ".gitignore").read_text() == "/two\n"


def test_an_import_whose_source_is_gone_names_the_way_around(project: Path, tmp_path: Path):
    source = make.write(make.repository(tmp_path / "source"), {"f": "1"})
    make.commit(source)
    make.done(project, "import", str(source), "f")
    source.rename(tmp_path / "elsewhere")
    shown = make.assay(project, "status")
    assert shown.code == 255
    assert "'assay status --no-updates' does not ask where imports come from" in shown.err
    assert make.done(project, "status", "--no-updates").startswith("Data and pipelines")


def test_one_file_is_one_file(project: Path):
    make.write(project, {"d/one": "1"})
    assert make.done(project, "add", "d").startswith("d  1 file, 1 B  md5:")


def test_what_is_lost_of_the_cache_and_lies_here_is_kept_again_by_a_commit(
    project: Path, tmp_path: Path
):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"own": "1", "other": "2", "d/x": "3"})
    make.done(project, "add", "own", "other", "d")
    make.write(project, {"other": "changed"})
    shutil.rmtree(project / ".dvc" / "cache" / "files")
    (tmp_path / "store" / "files").mkdir(parents=True)
    shown = make.assay(project, "pull", "own", "d")
    assert shown.code == 255
    assert "the workspace has it as recorded: 'assay commit d.dvc own.dvc'" in shown.err
    assert "from a clone" not in shown.err
    assert "assay commit" not in make.assay(project, "pull", "other").err
    make.done(project, "commit", "own.dvc", "d.dvc")
    assert make.done(project, "push", "own", "d") == "3 files pushed\n"
