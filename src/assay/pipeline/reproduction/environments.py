"""Which environment the commands of a run get again: this one, or the recorded one, built anew.

Where interpreter, packages and the variables that count (hash seed, threads) are those of the
record, nothing has to be built. Otherwise variables are set as recorded, and packages that differ
are installed into an environment of their own, `.assay/environments/HASH`, which is made once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from assay.base.errors import Error
from assay.ledger import environment as environments
from assay.ledger import packages
from assay.ledger.environment import THREAD_VARIABLES, Environment, Software
from assay.pipeline.reproduction import building, installed, places
from assay.project.workspace import Project

Choice = Literal["current", "recorded"]

HASH_SEED = "PYTHONHASHSEED"


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The environment that commands get.

    Attributes
    ----------
    kind : str
        "current", or "recorded" where something was set or built as the record says.
    environment : Environment
        What it is.
    variables : mapping
        What is set for it; None is taken away.
    folder : Path or None
        The environment that was built; None where this interpreter is used.
    notes : tuple of str
        What a person should know of it: what was set, what stands in for what is not to be had.
    """

    kind: Choice
    environment: Environment
    variables: Mapping[str, str | None] = {}
    folder: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """The interpreter that runs scripts."""
        import sys

        return sys.executable if self.folder is None else str(self.folder / "bin" / "python")

    def applied(self, env: Mapping[str, str], project: Project, there: Project) -> dict[str, str]:
        """Return the variables of a process with those of this environment.

        What looks for code in the person's tree looks into the work tree.
        """
        found = places.moved(
            env, project.git_root, there.git_root, has_packages=self.folder is not None
        )
        for name, value in self.variables.items():
            if value is None:
                found.pop(name, None)
            else:
                found[name] = value
        if self.folder is not None:
            found["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{found.get('PATH', os.defpath)}"
            found["VIRTUAL_ENV"] = str(self.folder)
            found.pop("PYTHONHOME", None)
        return found


def choose(
    project: Project,
    recorded: Environment | None,
    *,
    asked: Choice | None,
    say: Callable[[str], None],
) -> Chosen:
    """Return the environment for a run's commands; it is built where that is needed.

    Parameters
    ----------
    asked : str, optional
        "current" takes this one as it is. By default it is taken where it equals the recorded.

    Raises
    ------
    Error
        If the recorded one cannot be built: what is missing is listed.
    """
    now = environments.capture()
    if recorded is None and asked == "recorded":
        raise Error(
            "the environment of the run was not recorded",
            hint="use the present one: --environment current",
        )
    if recorded is None or asked == "current":
        return Chosen(kind="current", environment=now)
    variables = _variables(now, recorded)
    differing = _differing(now.software, recorded.software)
    if not variables and not differing:
        return Chosen(kind="current", environment=now)
    built = None
    if differing:
        built = building.build(project, recorded.software, now.software, say=say)
    software = now.software if built is None else built.software
    made = Environment(
        software=msgspec.structs.replace(software, hash_seed=recorded.software.hash_seed),
        host=msgspec.structs.replace(now.host, threads=recorded.host.threads),
    )
    notes = [_set(name, value) for name, value in variables.items()]
    return Chosen(
        kind="recorded",
        environment=made,
        variables=variables,
        folder=None if built is None else built.folder,
        notes=(*notes, *(built.notes if built is not None else ())),
    )


def unrecorded(project: Project, recorded: Environment | None) -> list[str]:
    """Return the packages of a record whose code is not on record: it was taken from a folder.

    Not those that are used in place from the project itself: the work tree has their code.
    """
    if recorded is None:
        return []
    return [
        name
        for name, version in packages.versions(recorded.software.packages).items()
        if packages.is_local(version) and not installed.is_code_of(name, project.git_root)
    ]


def _differing(now: Software, recorded: Software) -> list[str]:
    """Say where interpreter and packages differ, the hash seed left out."""
    same_seed = msgspec.structs.replace(now, hash_seed=recorded.hash_seed)
    return environments.software_differences(same_seed, recorded)


def _variables(now: Environment, recorded: Environment) -> dict[str, str | None]:
    """Return the variables that are not as recorded, and how they were."""
    then = {HASH_SEED: recorded.software.hash_seed, **recorded.host.threads}
    here = {HASH_SEED: now.software.hash_seed, **now.host.threads}
    names = (HASH_SEED, *THREAD_VARIABLES)
    return {name: then.get(name) for name in names if then.get(name) != here.get(name)}


def _set(name: str, value: str | None) -> str:
    return f"{name} is not set, as recorded" if value is None else f"{name}={value}, as recorded"
