"""What every command has in common: help, exit codes, messages, pipes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import click
import pytest

from assay import __version__, cli
from assay.cli import SECTIONS
from tests import make

COMMANDS = [name for section in SECTIONS.values() for name in section]


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ()])
def test_help_names_every_command_within_100_columns(tmp_path: Path, arguments: tuple[str, ...]):
    shown = make.assay(tmp_path, *arguments)
    assert shown.code == 0
    assert all(f"  {name} " in shown.out for name in COMMANDS)
    assert max(map(len, shown.out.splitlines())) < 100
    assert "255 an error" in shown.out


def _all() -> list[tuple[str, ...]]:
    from assay.cli import main

    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.commands]
    return found


@pytest.mark.parametrize("names", _all(), ids=" ".join)
def test_every_command_explains_itself_within_100_columns(tmp_path: Path, names: tuple[str, ...]):
    shown = make.assay(tmp_path, *names, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: assay {' '.join(names)}")
    assert max(map(len, shown.out.splitlines())) < 100


@pytest.mark.parametrize("arguments", [("--version",), ("-V",)])
def test_the_version_is_the_packages(tmp_path: Path, arguments: tuple[str, ...]):
    assert make.process(tmp_path, *arguments) == (0, f"assay {__version__}\n", "")
    assert make.assay(tmp_path, *arguments).out == f"assay {__version__}\n"


@pytest.mark.parametrize("verbose", [(), ("-v",), ("--verbose",)])
def test_a_defect_of_ours_is_called_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verbose: tuple[str, ...]
):
    monkeypatch.setitem(cli._COMMANDS, "broken", ("Breaks.", "output:no_such_command"))
    shown = make.assay(tmp_path, *verbose, "broken")
    assert (shown.code, shown.out) == (255, "")
    assert "error: this is a defect of Assay: AttributeError: module " in shown.err
    assert f"assay {__version__}" in shown.err
    assert ("Traceback (most recent call last)" in shown.err) is bool(verbose)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("psuh", "did you mean 'push'?"), ("xyzzy", "see 'assay --help'")],
)
def test_an_unknown_command_names_the_nearest(tmp_path: Path, typed: str, hint: str):
    shown = make.assay(tmp_path, typed)
    assert shown.code == 2
    assert shown.err == f"error: there is no command '{typed}'\n  hint: {hint}\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("push", "--nope"), "assay push --help"),
        (("add",), "assay add --help"),
        (("data", "nope"), "assay data --help"),
    ],
)
def test_wrong_usage_is_2_and_says_where_help_is(tmp_path: Path, arguments, hint: str):
    shown = make.assay(tmp_path, *arguments)
    assert shown.code == 2
    assert shown.err.startswith("error: ")
    assert hint in shown.err


def test_outside_a_project_the_way_to_one_is_told(tmp_path: Path):
    shown = make.assay(tmp_path, "data", "status")
    assert (shown.code, shown.out) == (255, "")
    assert "assay init" in shown.err


def test_another_folder_can_be_given(project: Path, tmp_path: Path):
    assert make.assay(tmp_path, "--cd", str(project), "data", "status").code == 0
    shown = make.assay(tmp_path, "--cd", "nope", "data", "status")
    assert shown.code == 255
    assert "nope: no such file or directory" in shown.err


def test_quiet_keeps_what_was_asked_for_and_errors_and_nothing_else(project: Path):
    make.write(project, {"a": "1"})
    assert make.assay(project, "-q", "add", "a") == (0, "", "")
    assert "profile.auto" in make.done(project, "-q", "config", "--list")
    assert "md5:c4ca4238" in make.done(project, "-q", "add", "a", "--json")
    assert "nope" in make.assay(project, "-q", "add", "nope").err


def test_a_traceback_is_shown_on_demand_only(project: Path):
    plain = make.process(project, "add", "nope")
    assert (plain.code, "Traceback" in plain.err) == (255, False)
    assert "Traceback" in make.process(project, "-v", "add", "nope").err


@pytest.mark.parametrize("arguments", ["--help", "config --list", "data status --json"])
def test_a_broken_pipe_is_quiet(project: Path, arguments: str):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        make.command(*arguments.split()), cwd=project, check=False, stdout=write, stderr=-1
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode in {0, 1}  # click ends with 1 where it meets the closed pipe itself


def test_a_broken_pipe_in_the_midst_of_much_output_is_quiet(project: Path):
    files = {f"d/{'long name ' * 9}{n}": "" for n in range(2000)}
    make.write(project, files)
    make.done(project, "add", "d")
    line = " ".join([*make.command("data", "status", "--granular"), "| head -n 1"])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=project, check=False, capture_output=True
    )
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


def test_an_interrupt_is_130_and_changes_nothing(project: Path):
    (project / "big").write_bytes(b"")
    os.truncate(project / "big", 300_000_000)  # a hole: fast to make, slow to hash
    before = make.snapshot(project, without=(".git", ".assay", "cache", "tmp"))
    running = subprocess.Popen(
        make.command("add", "big"), cwd=project, stderr=subprocess.PIPE, text=True
    )
    cache = project / ".dvc" / "cache" / "files" / "md5"
    while running.poll() is None and not list(cache.glob("tmp.*")):
        pass
    running.send_signal(signal.SIGINT)
    _, err = running.communicate()
    assert running.returncode == 130
    assert err.strip() == "interrupted"
    assert make.snapshot(project, without=(".git", ".assay", "cache", "tmp")) == before
    assert list(cache.iterdir()) == []
