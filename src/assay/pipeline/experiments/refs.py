"""Experiments as git references: `refs/exps/AB/CDEF.../NAME`, where ABCDEF... is their baseline.

A reference points to one commit whose parent is the baseline. What DVC keeps beside them under
`refs/exps` (its stashes, what it is about to run) is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.project import clones, git

NAMESPACE = "refs/exps"
APPLY_HEAD = f"{NAMESPACE}/apply/ORIG_HEAD"
"""DVC's name for HEAD as it was before an experiment was applied."""

_REF = re.compile(r"refs/exps/(?P<a>[0-9a-f]{2})/(?P<b>[0-9a-f]{38}|[0-9a-f]{62})/(?P<name>[^/]+)")


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried: its name, the commit it was tried on, and the commit that holds it.

    Attributes
    ----------
    at : int
        When it was committed, in Unix seconds; 0 where it is known to another repository only.
    """

    name: str
    baseline: str
    commit: str
    at: int = 0

    @property
    def ref(self) -> str:
        """The name of its reference."""
        return ref_of(self.baseline, self.name)


def ref_of(baseline: str, name: str) -> str:
    """Return the reference of an experiment.

    Examples
    --------
    >>> ref_of("ab" + 38 * "0", "first")
    'refs/exps/ab/00000000000000000000000000000000000000/first'
    """
    return f"{NAMESPACE}/{baseline[:2]}/{baseline[2:]}/{name}"


def list_(root: Path, *, baselines: Collection[str] | None = None) -> list[Experiment]:
    """Return the experiments of a repository, the newest first, those of some baselines only."""
    out = git.git(
        "for-each-ref", "--format=%(objectname) %(committerdate:unix) %(refname)",
        f"{NAMESPACE}/", cwd=root,
    )  # fmt: skip
    rows = (line.split(" ", 2) for line in out.decode().splitlines())
    found = [
        one
        for commit, at, ref in rows
        if (one := parse(ref, commit, at=int(at or 0))) is not None
        and (baselines is None or one.baseline in baselines)
    ]
    return sorted(found, key=lambda one: (one.at, one.commit), reverse=True)


def parse(ref: str, commit: str, *, at: int = 0) -> Experiment | None:
    """Return the experiment of a reference, or None for what DVC keeps beside them."""
    match = _REF.fullmatch(ref)
    if match is None:
        return None
    return Experiment(name=match["name"], baseline=match["a"] + match["b"], commit=commit, at=at)


def find(
    root: Path,
    name: str,
    *,
    among: Iterable[Experiment] | None = None,
    remote: str | None = None,
) -> Experiment:
    """Return the experiment that a name, a reference, or the beginning of a commit means.

    Where several baselines have one of that name, it is the one of HEAD.

    Parameters
    ----------
    among : iterable of Experiment, optional
        Those that there are; those of `root` where not given.
    remote : str, optional
        The other git repository that has them.

    Raises
    ------
    NotFound
        If there is none; with the nearest name.
    Error
        If it may be any of several.
    """
    known = list_(root) if among is None else list(among)
    found = [one for one in known if name in {one.name, one.ref}]
    if not found and len(name) >= 4:
        found = [one for one in known if one.commit.startswith(name)]
    if len({one.ref for one in found}) > 1:
        head = git.head(root)
        found = [one for one in found if one.baseline == head] or found
    if len({one.ref for one in found}) > 1 and len({one.commit for one in found}) > 1:
        raise Error(
            f"several experiments are called '{name}'",
            where=root,
            hint=f"name one by its commit: {', '.join(one.commit[:10] for one in found)}",
        )
    if not found:
        raise unknown(root, name, known, remote=remote)
    return found[0]


def unknown(
    root: Path, name: str, known: Iterable[Experiment], *, remote: str | None = None
) -> NotFound:
    """Return the error for a name that no experiment has, here or in another repository."""
    shown = None if remote is None else clones.shown(remote)
    listing = " ".join(["assay exp list", *([shown] if shown else []), "--all-commits"])
    names = list(dict.fromkeys(one.name for one in known))
    return NotFound(
        f"there is no experiment '{name}'",
        where=shown or root,
        hint=did_you_mean(name, names) or f"see '{listing}'",
    )


def require_baseline(root: Path) -> str:
    """Return the commit that is checked out.

    Raises
    ------
    Error
        Before the first commit: experiments are kept on top of one.
    """
    head = git.head(root)
    if head is None:
        raise Error(
            "there is no commit yet, and an experiment is kept on top of one",
            where=root,
            hint="commit first: git add . && git commit -m 'begin'",
        )
    return head


def check_name(root: Path, baseline: str, name: str, *, force: bool) -> str | None:
    """Return the commit that a name has on a baseline, or None where it is free.

    Raises
    ------
    Usage
        If git takes no such name.
    Error
        If an experiment has it, without `force`.
    """
    wrong = not name or "/" in name or name.startswith("-")
    format_ = ("check-ref-format", ref_of(baseline, name))
    if wrong or not _succeeds(root, *format_):
        raise Usage(
            f"'{name}' cannot be the name of an experiment",
            where="--name",
            hint="use letters, digits, '-', '_' and '.': git keeps it as part of a reference",
        )
    taken = commit_of(root, ref_of(baseline, name))
    if taken is not None and not force:
        raise Error(
            f"there is an experiment '{name}' on {baseline[:7]} already",
            where=ref_of(baseline, name),
            hint="choose another name, or put it in its place with '--force'",
        )
    return taken


def _succeeds(root: Path, *arguments: str) -> bool:
    try:
        git.git(*arguments, cwd=root)
    except git.Failed:
        return False
    return True


def commit_of(root: Path, ref: str) -> str | None:
    """Return what a reference points to, or None where there is none."""
    out = git.git("rev-parse", "--verify", "-q", ref, cwd=root, accept=(0, 1, 128))
    return out.decode().strip() or None


def put(root: Path, experiment: Experiment, *, replaces: str | None) -> None:
    """Keep an experiment, in the place of the commit `replaces` and of no other.

    Raises
    ------
    Error
        If somebody else has put one of that name there in the meantime.
    """
    before = replaces or "0" * len(experiment.commit)
    try:
        git.git(
            "update-ref", "-m", f"assay: experiment {experiment.name}",
            experiment.ref, experiment.commit, before, cwd=root,
        )  # fmt: skip
    except git.Failed as error:
        if commit_of(root, experiment.ref) == replaces:
            raise
        raise Error(
            f"another experiment was kept as '{experiment.name}' in the meantime",
            where=experiment.ref,
            hint=f"this one is the commit {experiment.commit[:12]}: "
            f"git update-ref {ref_of(experiment.baseline, 'NAME')} {experiment.commit[:12]}",
        ) from error


def remove(root: Path, experiments: Iterable[Experiment]) -> None:
    """Take experiments away, all or none; one that was changed in the meantime stays."""
    lines = [f"delete {one.ref}\0{one.commit}\0" for one in experiments]
    if lines:
        git.git("update-ref", "-z", "--stdin", cwd=root, stdin="".join(lines).encode())


def rename(root: Path, experiment: Experiment, name: str, *, replaces: str | None) -> None:
    """Give an experiment another name, in one step."""
    new = ref_of(experiment.baseline, name)
    before = replaces or "0" * len(experiment.commit)
    lines = (
        f"update {new}\0{experiment.commit}\0{before}\0delete {experiment.ref}\0"
        f"{experiment.commit}\0"
    )
    git.git("update-ref", "-z", "--stdin", cwd=root, stdin=lines.encode())
