"""Every command on data has the options of DVC's, or the table here says why not."""

from __future__ import annotations

import functools
import json
import os
import subprocess

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

WITHOUT = {
    "import-url --version-aware": "an import of one version of a file in a bucket is DVC's",
    "update --jobs": "the remote's own 'jobs' says how many transfers run at one time",
}
"""Option of DVC -> why ours has none."""

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


def test_the_table_names_what_dvc_has():
    assert all(
        any(option.rpartition(" ")[2] in names for names in theirs()[option.rpartition(" ")[0]])
        for option in WITHOUT
    )


def test_every_command_of_dvc_on_data_is_in_the_list():
    rest = {name for name in theirs() if name and name.split()[0] not in OTHERS.split()}
    assert rest == set(COMMANDS)
