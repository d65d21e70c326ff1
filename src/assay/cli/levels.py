"""`--system`, `--global`, `--project`, `--local`: which of the files of settings is meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from assay.base.errors import Usage
from assay.project.config import LEVELS, Level

_FILES: dict[Level, str] = {
    "system": "The file of this machine.",
    "global": "The file of this user.",
    "project": "The file of the project, .dvc/config.",
    "local": "The file of this clone, .dvc/config.local, which git ignores.",
}


def level_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the four options, and one of their names, or None, as `level`."""

    @functools.wraps(command)
    def chosen(*arguments: Any, **options: Any) -> int:
        given = [level for level in LEVELS if options.pop(f"at_{level}")]
        if len(given) > 1:
            names = " and ".join(f"'--{level}'" for level in given)
            raise Usage(f"{names} are two files: choose one")
        return command(*arguments, level=given[0] if given else None, **options)

    for level in reversed(LEVELS):
        option = click.option(f"--{level}", f"at_{level}", is_flag=True, help=_FILES[level])
        chosen = option(chosen)
    return chosen
