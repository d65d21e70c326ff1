"""Every command on data has the options of DVC's, or the table here says why not."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

import click
import pytest

from tests import stages

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and os.environ.get("CI") != "true",
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]

NAMES = {
    "": """add cache check-ignore checkout commit completion config data destroy diff doctor du
        fetch gc get get-url import import-url init install list list-url ls ls-url move mv pull
        push remote remove rm root status unprotect update version""",
    "cache ": "dir migrate",
    "data ": "status",
    "remote ": "add default list modify remove rename",
}
COMMANDS = [group + name for group, names in NAMES.items() for name in names.split()]
OTHERS = """artifacts daemon dag dataset ds exp experiments freeze git-hook import-db metrics
    params plots queue repro stage studio test-db unfreeze"""
"""Of pipelines, experiments and registries, or no person's."""

WITHOUT: dict[str, str] = {}
"""Option of DVC -> why ours has none."""

BESIDE = {
    "add": "data: records_ignore_files_and_objects_are_the_same_to_the_byte",
    "cache dir": "files: settings_are_written_to_the_byte_as_dvc_writes_them",
    "cache migrate": "files: a_cache_of_dvc_2_is_migrated_alike",
    "check-ignore": "files: what_is_ignored_is_told_alike",
    "checkout": "transfers: checkouts_say_the_same",
    "commit": "data_flags: stages_that_were_run_by_hand_are_committed_alike",
    "config": "files: settings_are_written_to_the_byte_as_dvc_writes_them",
    "data status": "transfers: the_state_of_data_is_told_alike",
    "destroy": "files: destroy_leaves_what_dvc_leaves",
    "diff": "transfers: differences_are_told_alike",
    "du": "imports: the_sizes_of_a_repository_are_the_same",
    "fetch": "transfers: the_same_is_fetched_of_the_same_commits",
    "gc": "transfers: the_same_is_collected",
    "get": "imports: what_is_gotten_has_the_same_bytes",
    "get-url": "data_flags: what_is_gotten_from_an_address_is_the_same",
    "import": "imports: the_records_and_data_of_imports_are_the_same_to_the_byte",
    "import-url": "imports: the_records_of_imports_from_addresses_are_the_same_to_the_byte",
    "init": "data: a_new_project_is_the_same_to_the_byte",
    "install": "files: hooks_of_dvc_are_not_overwritten_and_the_other_way_round",
    "list": "imports: a_listing_is_the_same",
    "list-url": "imports: an_address_is_listed_as_dvc_does",
    "move": "files: records_and_ignore_files_end_up_the_same",
    "pull": "transfers: the_same_is_pulled_for_the_same_targets",
    "push": "transfers: the_same_is_pushed_of_the_same_commits",
    "remote add": "files: settings_are_written_to_the_byte_as_dvc_writes_them",
    "remote default": "files: settings_are_written_to_the_byte_as_dvc_writes_them",
    "remote list": "data_flags: remotes_of_one_file_are_listed_alike",
    "remote modify": "files: settings_are_written_to_the_byte_as_dvc_writes_them",
    "remote remove": "files: settings_are_written_to_the_byte_as_dvc_writes_them",
    "remote rename": "files: settings_are_written_to_the_byte_as_dvc_writes_them",
    "remove": "files: records_and_ignore_files_end_up_the_same",
    "root": "files: settings_are_listed_with_their_files_as_dvc_lists_them",
    "status": "transfers: the_state_of_a_remote_is_told_alike",
    "unprotect": "files: records_and_ignore_files_end_up_the_same",
    "update": "imports: what_one_imports_the_other_updates",
}
"""Command -> a test beside this one in which real DVC does it, too, and the results agree."""
ALONE = {"cache", "completion", "data", "doctor", "remote", "version"}
"""Groups, and what each tool says of itself."""
ALIASES = {"ls", "ls-url", "mv", "rm"}

_LIST = """
import argparse, json
from dvc.cli.parser import get_main_parser
def walk(parser, name):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub, inner in action.choices.items():
                yield from walk(inner, f"{name} {sub}".strip())
    yield name, [
        list(action.option_strings)
        for action in parser._actions
        if action.option_strings and action.help != argparse.SUPPRESS
    ]
print(json.dumps(dict(walk(get_main_parser(), ""))))
"""


@functools.cache
def theirs() -> dict[str, list[list[str]]]:
    """Return the options of real DVC that its help shows, by command; "" is `dvc` itself."""
    python = stages.DVC.with_name("python")
    finished = subprocess.run([python, "-c", _LIST], check=True, capture_output=True, text=True)
    found: dict[str, list[list[str]]] = json.loads(finished.stdout)
    return found


def ours(name: str) -> set[str]:
    """Return all options of a command, hidden ones too."""
    from assay.cli import main

    command: click.Command | None = main
    for part in name.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), part)
        assert command is not None, f"there is no command '{name}'"
    assert command is not None
    options = [one for one in command.params if isinstance(one, click.Option)]
    return {"-h", "--help"}.union(*({*one.opts, *one.secondary_opts} for one in options))


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_option_of_dvc_is_there_under_all_its_names(name: str):
    known = ours(name)
    for names in theirs()[name]:
        lacking = [option for option in names if option not in known]
        if f"{name} {max(names, key=len)}" not in WITHOUT:
            assert not lacking, f"dvc {name} has {'/'.join(names)}"


def test_the_table_names_what_dvc_has_and_ours_has_not():
    for option in WITHOUT:
        command, _, name = option.rpartition(" ")
        assert any(name in names for names in theirs()[command])
        assert name not in ours(command)


def test_every_command_of_dvc_on_data_is_in_the_list():
    rest = {name for name in theirs() if name and name.split()[0] not in OTHERS.split()}
    assert rest == set(COMMANDS)


def test_every_command_is_on_a_path_with_real_dvc():
    assert set(BESIDE) | ALONE | ALIASES == set(COMMANDS)
    for command, where in BESIDE.items():
        file, _, name = where.partition(": ")
        text = Path(__file__).with_name(f"test_dvc_{file}.py").read_text()
        assert f"\ndef test_{name}(" in text, f"{command}: {where}"
