"""Move files between a cache and a bucket that keeps them under their own names, with versions.

Nothing is found by its hash there: which version of a key has a content is recorded with the
data, and a new content is a new version. Old ones stay until the owner of the bucket ends them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import NamedTuple

from assay.base.errors import Error
from assay.base.progress import progress
from assay.objects.cache import Cache
from assay.objects.remotes import Damage, Entry, Item, RemoteSettings, kind_of
from assay.objects.remotes.parallel import each
from assay.objects.remotes.s3 import S3Remote
from assay.objects.transfer import Moved

_BATCH = 1000


class File(NamedTuple):
    """A file of data: its key, its content, and the version that has it, where that is known."""

    key: str
    oid: str
    version: str | None = None


def open_versioned(settings: RemoteSettings) -> S3Remote:
    """Open a remote that keeps files under their own names.

    Raises
    ------
    Error
        If it is no bucket of S3, or one of its options denies the other.
    """
    options = {name: value.lower() for name, value in settings.options.items()}
    if options.get("worktree") == "true" and options.get("version_aware") == "false":
        raise Error(
            "'worktree' needs 'version_aware', which is false",
            where=settings.where,
            hint=f"assay remote modify --unset {settings.name} version_aware",
        )
    if kind_of(settings) is not S3Remote:
        scheme = settings.url.partition("://")[0] if "://" in settings.url else "a folder"
        raise Error(
            f"'version_aware' needs a bucket of S3, and this is '{scheme}'",
            where=settings.where,
            hint="use real dvc with this remote, or one without this option",
        )
    return S3Remote(settings)


def fetch(files: Sequence[File], cache: Cache, remote: S3Remote) -> Moved:
    """Copy the recorded versions of files into a cache, each checked by its hash."""
    wanted = {one.oid: one for one in files if not cache.has(one.oid)}
    known = {one.oid: one for one in files if one.version is not None and one.oid in wanted}
    wanted |= known  # the same content may be recorded elsewhere with a version
    missing = sorted(oid for oid, one in wanted.items() if one.version is None)
    items = [
        Item(one.key, cache.path(one.oid), one.oid, cache.algorithm, one.version)
        for one in wanted.values()
        if one.version is not None
    ]
    damaged: list[Damage] = []
    with progress("fetching", total=len(items)) as bar:
        for start in range(0, len(items), _BATCH):
            damaged += remote.download(items[start : start + _BATCH], advance=bar.advance)
    return Moved(
        moved=len(items) - len(damaged),
        present=len({one.oid for one in files}) - len(wanted),
        missing=missing,
        damaged=[one.where for one in damaged],
    )


def push(
    files: Sequence[File],
    cache: Cache,
    remote: S3Remote,
    *,
    have: Callable[[dict[str, Entry]], None],
) -> Moved:
    """Copy files to the bucket where it has no version of them.

    A version that is recorded and still there is left as it is; so is the newest one where its
    ETag is the hash of the file.

    Parameters
    ----------
    have : callable
        Told the versions that are there, by key: also when the push breaks off.

    Raises
    ------
    Error
        If the bucket keeps no versions.
    """
    known = _known(files, remote)
    lacking = [one for one in files if one.key not in known]
    missing = [one.oid for one in lacking if not cache.has(one.oid)]
    sending = [
        Item(one.key, cache.path(one.oid), one.oid, cache.algorithm)
        for one in lacking
        if cache.has(one.oid)
    ]
    damaged: list[Damage] = []
    try:
        with progress("pushing", total=len(sending)) as bar:
            for batch in _batches(sending):
                damaged += remote.upload(batch, advance=bar.advance)
                _refuse_without_versions(remote)
    finally:
        there = {key: entry for key, entry in remote.sent.items() if _has_version(entry)}
        have(known | there)
    for damage in damaged:
        cache.damaged(damage.item.oid)  # aside, so that a pull brings a good one
    return Moved(
        moved=len(sending) - len(damaged),
        present=len(known),
        missing=sorted(missing),
        damaged=[one.where for one in damaged],
    )


def newest(remote: S3Remote, entries: Sequence[Entry]) -> list[Entry]:
    """Return files of a listing with the versions that are the newest now."""
    answers = each(
        lambda entry: remote.tried(lambda: remote.stat(entry.key)),
        entries,
        jobs=remote.jobs,
        stop=Event(),
    )
    return sorted(entry for entry in answers if entry is not None)


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Send one file first: where the bucket keeps no versions, nothing else is sent."""
    yield from (batch for batch in (items[:1], items[1:]) if batch)


def _has_version(entry: Entry) -> bool:
    return entry.version not in {None, "null"}


def _refuse_without_versions(remote: S3Remote) -> None:
    if not all(_has_version(entry) for entry in remote.sent.values()):
        raise Error(
            "the bucket keeps no versions",
            where=remote.settings.where,
            hint="its owner can switch them on: aws s3api put-bucket-versioning "
            "--versioning-configuration Status=Enabled --bucket NAME",
        )


def _known(files: Sequence[File], remote: S3Remote) -> dict[str, Entry]:
    """Return the versions that the bucket has of files, by key."""
    stop = Event()

    def latest(file: File) -> Entry | None:
        found = remote.tried(lambda: remote.stat(file.key), stop)
        same = found is not None and (found.etag or "").strip('"') == file.oid
        return found if same and found is not None and _has_version(found) else None

    def one(file: File) -> Entry | None:
        version = file.version
        if version is None:
            return latest(file)
        found = remote.tried(lambda: remote.stat_version(file.key, version), stop)
        return latest(file) if found is None else found

    answers = each(one, files, jobs=remote.jobs, stop=stop)
    return {entry.key: entry for entry in answers if entry is not None}
