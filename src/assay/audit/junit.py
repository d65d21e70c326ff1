"""The results of the code's tests, and whether they are of the code that is in production.

A JUnit file does not say which commit was tested. So it has to be committed, and the newest
commit that changed it is the one whose tree it speaks of: who changes code without running the
tests again has a tree that differs from that one.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

import msgspec

from assay.audit.difference import IsCode
from assay.base.errors import Error
from assay.project import git
from assay.project.workspace import Project


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """How many tests ran, and how many of them did not pass."""

    n_tests: int
    n_failed: int
    n_skipped: int


def parse(content: bytes, *, where: str) -> Results:
    """Read a JUnit file.

    Raises
    ------
    assay.Error
        If it is none.

    Examples
    --------
    >>> text = b'<testsuites><testsuite><testcase/><testcase><failure/></testcase></testsuite>'
    >>> parse(text + b"</testsuites>", where="tests.xml")
    Results(n_tests=2, n_failed=1, n_skipped=0)
    """
    try:
        root = ET.fromstring(content)  # noqa: S314 -- from the project's git; expat bounds entities
    except (ET.ParseError, ValueError) as error:
        raise Error(f"this is not a JUnit file: {error}", where=where) from error
    if root.tag not in {"testsuites", "testsuite"}:
        raise Error(
            f"this is not a JUnit file: it begins with <{root.tag}>, expected <testsuites>",
            where=where,
        )
    cases = list(root.iter("testcase"))
    failed = [case for case in cases if {"failure", "error"} & {child.tag for child in case}]
    skipped = [case for case in cases if "skipped" in {child.tag for child in case}]
    return Results(n_tests=len(cases), n_failed=len(failed), n_skipped=len(skipped))


def commit_of(project: Project, path: str, *, commit: str) -> str | None:
    """Return the newest commit, up to a given one, that changed a file of the repository."""
    out = git.git("log", "-1", "--format=%H", commit, "--", f":(top,literal){path}",
                  cwd=project.git_root)  # fmt: skip
    return out.decode().strip() or None


def code_between(project: Project, before: str, after: str, is_code: IsCode) -> list[str]:
    """Return the code that differs between two commits, by path."""
    out = git.git(
        "diff", "--name-only", "--no-renames", "-z", before, after, cwd=project.git_root
    )  # fmt: skip
    names = (os.fsdecode(name) for name in out.split(b"\0") if name)
    return sorted(filter(is_code, names))
