"""The objects that records of runs name, on their way to and from a remote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.progress import counted, human_size
from assay.objects import transfer
from assay.objects.remotes import Remote
from assay.objects.transfer import SHA256_PREFIX
from assay.project.workspace import Project
from assay.workflows import live, remote_names

if TYPE_CHECKING:
    from assay.ledger.exchange.loaded import Loaded
    from assay.ledger.exchange.passing import Passed
    from assay.ledger.exchange.records import Named

MOST = 1 << 30
"""Bytes of artifacts that a pull brings unasked, those of the newest runs first."""


def send(
    project: Project, remote: Remote, passed: Passed
) -> tuple[int, list[str]]:  # fmt: skip
    """Send the objects that records name and a remote lacks; return how many, and notes."""
    named = {file.oid for file in passed.files}
    if not named:
        return 0, []
    documents = live.documents(project.objects, named)
    moved = transfer.push(sorted(documents), project.objects, remote, prefix=SHA256_PREFIX)
    away = {*project.objects.lacking(sorted(documents))}
    known = {oid: names for oid, names in documents.items() if oid not in away}
    remote_names.write(project, remote, known)
    notes = [f"damaged here, and not pushed: {where}" for where in moved.damaged]
    if lost := named & set(moved.missing):
        kept = {oid for _, oid in passed.artifacts}
        lacking = in_words(len(lost & kept), len(lost - kept))
        notes.append(f"neither here nor on the remote: {lacking} of runs")
    return moved.moved, notes


def in_words(artifacts: int, others: int) -> str:
    """Say how many artifacts, and other files that records name, such as patches and profiles.

    Examples
    --------
    >>> in_words(1, 0), in_words(1, 2), in_words(0, 1)
    ('1 artifact', '1 artifact and 2 other files', '1 other file')
    """
    if not others:
        return counted(artifacts, "artifact")
    if not artifacts:
        return counted(others, "other file")
    return f"{counted(artifacts, 'artifact')} and {counted(others, 'other file')}"


def bring(
    project: Project,
    remote: Remote,
    where: Path | str,
    loaded: Loaded,
    *,
    artifacts: bool | None,
) -> tuple[int, list[str]]:
    """Bring objects: those of new records, or all that the ledger names."""
    if artifacts is False:
        return 0, []
    objects = project.objects
    bundles = [file.oid for file in loaded.files if file.is_bundle]
    if artifacts:
        from assay.ledger.database import open_ledger

        with open_ledger(where, create=False) as ledger:
            wanted, left = sorted(live.of_ledger(project.objects, ledger)), 0
            bundles += live.bundles_of(ledger)
    else:
        wanted, left = _newest(file for file in loaded.files if not objects.has(file.oid))
    moved = transfer.fetch(wanted, objects, remote, prefix=SHA256_PREFIX)
    inside = _inside(project, bundles)
    more = transfer.fetch(inside, objects, remote, prefix=SHA256_PREFIX) if inside else None
    notes = [f"damaged on the remote: {where}" for where in moved.damaged]
    if left:
        notes.append(
            f"artifacts of older runs ({human_size(left)}) stay on the remote: "
            "'assay fetch --artifacts' brings them"
        )
    return moved.moved + (more.moved if more else 0), notes


def _newest(files: Iterable[Named]) -> tuple[list[str], int]:
    """Return objects of the newest runs up to `MOST` bytes, and the bytes that are left."""
    chosen: dict[str, None] = {}
    total = left = 0
    seen: set[str] = set()
    for file in sorted(files, key=lambda one: -one.at):
        if file.oid in seen:
            continue
        seen.add(file.oid)
        if total + file.size > MOST:
            left += file.size
            continue
        total += file.size
        chosen[file.oid] = None
    return list(chosen), left


def _inside(project: Project, bundles: Iterable[str]) -> list[str]:
    """Return what bundles name and is not here."""
    objects = project.objects
    named = {oid for one in bundles if objects.has(one) for oid in live.named_in(objects, one)}
    return objects.lacking(sorted(named))
