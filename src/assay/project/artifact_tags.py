"""Versions and stages of artifacts as tags of git. Source: GTO 1.9's grammar, as DVC reads it.

    NAME@v1.2.3     the commit has this version     NAME@v1.2.3!    it has it no more
    NAME#STAGE#4    its version is at this stage    NAME#STAGE!#5   it is no more
    NAME@deprecated                                 what came before is not offered any more

Only annotated tags count, in the order of their times. NAME is `folder=name` for an artifact of
the `dvc.yaml` in a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from assay.base.errors import NotFound, did_you_mean
from assay.project import git

Action = Literal["register", "deregister", "assign", "unassign", "deprecate", "create"]

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-/_]*[a-zA-Z0-9])?"
_WORD = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = (
    r"v(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
    rf"(?:-{_WORD}(?:\.{_WORD})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_TAG = re.compile(
    rf"(?P<name>(?:[a-zA-Z0-9\-_./]+=)?{_NAME})"
    rf"(?:(?:#(?P<stage>{_NAME})|@(?P<version>{_VERSION}))(?P<cancel>!?)"
    r"|@(?P<word>deprecated|created))(?:#(?P<counter>[0-9]+))?",
    re.ASCII,
)


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said of an artifact.

    Attributes
    ----------
    name : str
        `folder:name`, or `name` alone for the root of the repository.
    counter : int
        The number at its end; 0 without one.
    """

    name: str
    action: Action
    version: str | None = None
    stage: str | None = None
    counter: int = 0
    commit: str = ""
    at: int = 0  # Unix seconds


def parse(tag: str) -> Tag | None:
    """Return what the name of a tag says, or None where it says nothing of an artifact.

    Examples
    --------
    >>> found = parse("models=churn#prod!#3")
    >>> found.name, found.action, found.stage, found.counter
    ('models:churn', 'unassign', 'prod', 3)
    >>> parse("v1.0")
    """
    found = _TAG.fullmatch(tag)
    if found is None:
        return None
    action: Action = "deprecate" if found["word"] == "deprecated" else "create"
    if found["version"]:
        action = "deregister" if found["cancel"] else "register"
    elif found["stage"]:
        action = "unassign" if found["cancel"] else "assign"
    return Tag(
        name=found["name"].replace("=", ":"),
        action=action,
        version=found["version"],
        stage=found["stage"],
        counter=int(found["counter"] or 0),
    )


def read(root: Path) -> list[Tag]:
    """Return what the annotated tags of a repository say of artifacts, the oldest first."""
    form = "--format=%(refname:strip=2)%00%(objecttype)%(*objecttype)%00%(*objectname)%00"
    rows = git.git("for-each-ref", f"{form}%(taggerdate:unix)", "refs/tags", cwd=root)
    found = []
    for row in rows.decode(errors="replace").splitlines():
        name, kinds, commit, at = row.split("\0")
        tag = parse(name) if kinds == "tagcommit" else None
        if tag is not None:
            found.append(msgspec.structs.replace(tag, commit=commit, at=int(at or 0)))
    return sorted(found, key=lambda tag: (tag.at, tag.counter))


def commit_of(
    tags: Iterable[Tag], name: str, *, version: str | None = None, stage: str | None = None
) -> str:
    """Return the commit that has a version, is at a stage, or has the highest version.

    Raises
    ------
    NotFound
        If there is none; with those that there are.
    """
    tags = list(tags)
    own = [tag for tag in tags if tag.name == name]
    if not own:
        names = sorted({tag.name for tag in tags})
        raise NotFound(
            f"no version of an artifact '{name}' is registered",
            hint=did_you_mean(name, names) or _listed("registered are", names, _HOW),
        )
    versions, stages = _state(own)
    if version is not None:
        chosen, what, known = versions.get(version), f"version '{version}'", list(versions)
    elif stage is not None:
        chosen, what, known = stages.get(stage), f"version at stage '{stage}'", list(stages)
    else:
        offered = _state(_since_deprecated(own))[0]
        highest = max(offered, key=precedence, default=None)
        chosen, what, known = highest and offered[highest], "version on offer", list(versions)
    if chosen is None:
        near = did_you_mean(version or stage or "", known)
        raise NotFound(
            f"the artifact '{name}' has no {what}",
            hint=near or _listed("it has", sorted(known), _HOW),
        )
    return chosen


_HOW = "register one with an annotated tag such as NAME@v1.0.0"


def _listed(words: str, names: list[str], otherwise: str) -> str:
    return f"{words}: {', '.join(names)}" if names else otherwise


def _state(tags: Iterable[Tag]) -> tuple[dict[str, str], dict[str, str]]:
    """Return which commit has each version, and which is at each stage now."""
    versions: dict[str, str] = {}
    at_stage: dict[str, list[str]] = {}
    for tag in tags:
        if tag.action == "register" and tag.version:
            versions[tag.version] = tag.commit
        elif tag.action == "deregister" and tag.version:
            versions.pop(tag.version, None)
        elif tag.stage:
            commits = at_stage.setdefault(tag.stage, [])
            if tag.commit in commits:
                commits.remove(tag.commit)
            if tag.action == "assign":
                commits.append(tag.commit)
    return versions, {stage: commits[-1] for stage, commits in at_stage.items() if commits}


def _since_deprecated(tags: list[Tag]) -> list[Tag]:
    last = max((n for n, tag in enumerate(tags) if tag.action == "deprecate"), default=-1)
    return tags[last + 1 :]


def precedence(version: str) -> tuple[tuple[int, ...], int, tuple[tuple[int, int, str], ...]]:
    """Return what orders versions, as Semantic Versioning 2.0 has it; the build does not count.

    Examples
    --------
    >>> sorted(["v1.10.0", "v1.9.0", "v1.10.0-rc.2", "v1.10.0-rc.10"], key=precedence)
    ['v1.9.0', 'v1.10.0-rc.2', 'v1.10.0-rc.10', 'v1.10.0']
    """
    core, _, before = version.removeprefix("v").partition("+")[0].partition("-")
    words = before.split(".") if before else []
    return (
        tuple(int(number) for number in core.split(".")),
        0 if words else 1,
        tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words),
    )
