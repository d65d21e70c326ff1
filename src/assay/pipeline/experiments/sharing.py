"""Experiments in other git repositories: list, push, fetch and delete their references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.pipeline.experiments import refs
from assay.pipeline.experiments.refs import NAMESPACE, Experiment
from assay.project import clones, git


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each experiment.

    Attributes
    ----------
    moved, present : list of Experiment
        Those that were sent or fetched; those that were there already.
    diverged : list of Experiment
        Those that the other side has with other content, under the same name.
    refused : dict
        Why the other side refused one, by name.
    """

    moved: list[Experiment] = []
    present: list[Experiment] = []
    diverged: list[Experiment] = []
    refused: dict[str, str] = {}


def list_(root: Path, remote: str) -> list[Experiment]:
    """Return the experiments of another repository.

    Raises
    ------
    Error
        If git cannot reach it.
    """
    try:
        out = git.git("ls-remote", "--", remote, f"{NAMESPACE}/*", cwd=root)
    except git.Failed as error:
        raise _unreachable(remote, error) from error
    rows = (line.split("\t", 1) for line in out.decode().splitlines())
    found = (refs.parse(ref, commit) for commit, ref in rows)
    return [one for one in found if one is not None]


def push(root: Path, remote: str, chosen: Iterable[Experiment], *, force: bool) -> Shared:
    """Send experiments; one that the other side has with other content needs `force`."""
    there = {one.ref: one.commit for one in list_(root, remote)}
    by_ref = {one.ref: one for one in chosen}
    present = [one for ref, one in by_ref.items() if there.get(ref) == one.commit]
    diverged = [one for ref, one in by_ref.items() if ref in there and there[ref] != one.commit]
    todo = [one for one in by_ref.values() if one not in present]
    if not force:
        todo = [one for one in todo if one not in diverged]
    refused = _send(root, remote, [_specification(one, there) for one in todo], by_ref)
    return Shared(
        moved=[one for one in todo if one.name not in refused],
        present=present,
        diverged=[] if force else diverged,
        refused=refused,
    )


def _specification(one: Experiment, there: dict[str, str]) -> str:
    return f"{'+' if one.ref in there else ''}{one.commit}:{one.ref}"


def fetch(root: Path, remote: str, chosen: Iterable[Experiment], *, force: bool) -> Shared:
    """Get experiments; one that is here with other content needs `force`."""
    here = {one.ref: one.commit for one in refs.list_(root)}
    every = list(chosen)
    present = [one for one in every if here.get(one.ref) == one.commit]
    diverged = [one for one in every if here.get(one.ref, one.commit) != one.commit]
    todo = [one for one in every if one not in present and (force or one not in diverged)]
    if todo:
        specifications = [f"+{one.ref}:{one.ref}" for one in todo]
        try:
            git.unattended(
                "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--", remote,
                *specifications, cwd=root,
            )  # fmt: skip
        except git.Failed as error:
            raise _unreachable(remote, error) from error
    return Shared(moved=todo, present=present, diverged=[] if force else diverged)


def remove(root: Path, remote: str, chosen: Sequence[Experiment]) -> dict[str, str]:
    """Delete experiments there; return why one was not, by name."""
    by_ref = {one.ref: one for one in chosen}
    return _send(root, remote, [f":{ref}" for ref in by_ref], by_ref)


def _send(
    root: Path, remote: str, specifications: Sequence[str], by_ref: dict[str, Experiment]
) -> dict[str, str]:
    """Push; return why the other side refused a reference, by the experiment's name."""
    if not specifications:
        return {}
    try:
        out = git.git(
            "-c", "core.hooksPath=/dev/null", "push", "--porcelain", "--no-verify", "--", remote,
            *specifications, cwd=root, accept=(0, 1),
        )  # fmt: skip
    except git.Failed as error:
        raise _unreachable(remote, error) from error
    refused = {}
    for line in out.decode(errors="replace").splitlines():
        flag, _, rest = line.partition("\t")
        place, _, why = rest.partition("\t")
        ref = place.rpartition(":")[2]
        if flag.strip() == "!" and ref in by_ref:
            refused[by_ref[ref].name] = why.strip()
    return refused


def _unreachable(remote: str, error: git.Failed) -> Error:
    shown = clones.shown(remote)
    return Error(
        f"git cannot use the repository '{shown}': {error.what.replace(remote, shown)}",
        hint=f"see 'git remote -v' for names; what git says: git ls-remote {shown}",
    )
