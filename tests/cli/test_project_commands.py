"""`doctor`, `completion`, `root`, `check-ignore`, settings by level: what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import make


def test_doctor_says_the_same_in_words_and_in_json(project: Path, tmp_path: Path):
    make.done(project, "remote", "add", "-d", "st", f"s3://key:secret@{tmp_path.name}/x")
    text = make.done(project, "doctor")
    found = json.loads(make.done(project, "doctor", "--json"))
    assert found["remotes"] == {"st": "s3"}
    assert f"Assay version: {found['assay']}" in text
    assert {"symlink", "copy"} <= set(found["links"])
    assert "secret" not in text
    assert make.done(project, "version") == text


def test_doctor_leaves_nothing_behind_and_works_outside_of_a_project(tmp_path: Path):
    folder = make.project(tmp_path / "p")
    before = make.snapshot(folder, without=())
    make.done(folder, "doctor")
    assert make.snapshot(folder, without=()) == before
    (tmp_path / "empty").mkdir()
    assert "Project: none here" in make.done(tmp_path / "empty", "doctor")


def completions(folder: Path, line: str) -> list[str]:
    """Complete a line with the tab key, in bash."""
    words = line.split(" ")
    script = (
        f'eval "$({sys.executable} -m assay completion -s bash)"; COMP_WORDS=({line}); '
        f"COMP_CWORD={len(words) - 1}; _assay_completion assay; printf '%s\\n' ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("assay check", "checkout"),
        ("assay remote re", "rename"),
        ("assay add --no", "--no-profile"),
    ],
)
def test_bash_completes_commands_and_options(tmp_path: Path, line: str, wanted: str):
    assert wanted in completions(tmp_path, line)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(tmp_path: Path, shell: str):
    assert "_ASSAY_COMPLETE" in make.done(tmp_path, "completion", "-s", shell)
    assert make.assay(tmp_path, "completion", "-s", "tcsh").code == 2


def test_the_root_is_told_from_where_one_is(project: Path):
    make.write(project, {"s/t/f": ""})
    assert make.done(project, "root") == ".\n"
    assert make.done(project / "s" / "t", "root") == "../..\n"
    assert json.loads(make.done(project / "s", "root", "--json")) == {"root": ".."}


def test_all_patterns_that_match_are_shown_the_last_decides(project: Path):
    make.write(project, {".dvcignore": "*.tmp\na.*\n!b.tmp\n", "s/.dvcignore": "a*\n"})
    shown = make.done(project, "check-ignore", "-d", "-a", "s/a.tmp")
    wanted = [".dvcignore:1:*.tmp", ".dvcignore:2:a.*", "s/.dvcignore:1:a*"]
    assert shown.splitlines() == [f"{pattern}\ts/a.tmp" for pattern in wanted]
    rows = json.loads(make.assay(project, "check-ignore", "--json", "b.tmp", "a.tmp").out)
    assert [(row["path"], row["ignored"]) for row in rows] == [("b.tmp", False), ("a.tmp", True)]
    assert make.assay(project, "check-ignore", "-d", "b.tmp").code == 1


@pytest.mark.parametrize("arguments", [(), ("--stdin", "a"), ("-n", "a"), ("-a", "a")])
def test_check_ignore_says_what_it_takes(project: Path, arguments: tuple[str, ...]):
    assert make.assay(project, "check-ignore", *arguments).code == 2


def test_targets_are_read_from_stdin(project: Path):
    make.write(project, {".dvcignore": "*.tmp\n"})
    done = subprocess.run(
        make.command("check-ignore", "--stdin"),
        cwd=project, input="a.tmp\nb\n\nc.tmp\n", check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "a.tmp\nc.tmp\n")


def test_a_setting_is_read_and_written_in_the_file_of_its_level(project: Path, monkeypatch):
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(project.parent / "system"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(project.parent / "user"))
    for level in ("system", "global", "project", "local"):
        make.done(project, "config", f"--{level}", "core.checksum_jobs", str(len(level)))
    assert make.done(project, "config", "core.checksum_jobs") == "5\n"
    assert make.done(project, "config", "--system", "core.checksum_jobs") == "6\n"
    assert make.done(project, "config", "--show-origin", "core.checksum_jobs") == (
        ".dvc/config.local\t5\n"
    )
    make.done(project, "config", "--local", "--unset", "core.checksum_jobs")
    shown = make.assay(project, "config", "--local", "--unset", "core.checksum_jobs")
    assert shown.code == 255
    assert "give '--system'" in shown.err


def test_our_settings_say_where_they_come_from(project: Path, monkeypatch):
    make.write(project, {"assay.yaml": "settings: {run: {log_tail: 3}}\n"})
    make.done(project, "config", "--global", "profile.auto", "false")
    monkeypatch.setenv("ASSAY_SERVE_MAX_TENSORS", "7")
    rows = json.loads(make.done(project, "config", "-l", "--show-origin", "--json"))
    assert rows["run.log_tail"] == {"value": 3, "origin": "assay.yaml"}
    assert rows["profile.auto"]["origin"].endswith("assay/config.toml")
    assert rows["serve.max_tensors"]["origin"] == "the environment"
    assert rows["run.max_untracked"]["origin"] == "default"
    for level, word in (("project", "assay.yaml"), ("system", "--global")):
        shown = make.assay(project, "config", f"--{level}", "profile.auto", "true")
        assert shown.code == 2
        assert word in shown.err
    make.done(project, "config", "--global", "--unset", "profile.auto")


def test_a_cache_elsewhere_is_found_from_everywhere(project: Path):
    make.write(project, {"s/f": ""})
    make.done(project / "s", "cache", "dir", "../../cache")
    wanted = os.path.normpath(project.parent / "cache")
    assert make.done(project, "cache", "dir") == f"{wanted}\n"
    assert json.loads(make.done(project / "s", "cache", "dir", "--json")) == {"dir": wanted}
    make.done(project, "cache", "dir", "-u")
    assert make.done(project, "cache", "dir") == f"{project / '.dvc' / 'cache'}\n"


@pytest.mark.parametrize("names", [(), ("remote",), ("remote", "rename"), ("ls",)])
def test_help_is_the_help_of_what_is_named(tmp_path: Path, names: tuple[str, ...]):
    assert make.done(tmp_path, "help", *names) == make.done(tmp_path, *names, "--help")


def test_help_of_what_does_not_exist_is_wrong_usage(tmp_path: Path):
    shown = make.assay(tmp_path, "help", "pussh")
    assert (shown.code, shown.out) == (2, "")
    assert "did you mean 'push'?" in shown.err
    assert make.assay(tmp_path, "help", "remote", "nope").code == 2
    assert make.assay(tmp_path, "help", "add", "nope").code == 2
