"""Track data that lies somewhere else: copied into the project, or sent to a remote at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, Negative, Usage
from assay.base.progress import progress
from assay.objects import checkout as objects_checkout
from assay.objects import scan, tree
from assay.objects.checkout import Target
from assay.objects.remotes import Item
from assay.objects.scan import Content, Skip, no_skip
from assay.objects.staging import staging
from assay.objects.transfer import key_of
from assay.project import definition, tracking
from assay.project.guarding import using
from assay.project.tracking import Added
from assay.project.workspace import Project
from assay.workflows.transfers import open_with


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """Where the data of an `add` go.

    Attributes
    ----------
    out : str or None
        The path that is tracked; that of the data itself where not given.
    to_remote : bool
        The data go to a remote, and neither to the cache nor to the work tree.
    remote : str or None
        Which; the default one where not given.
    jobs : int or None
        How many objects are sent at a time.
    force : bool
        What lies at `out` is overwritten.
    """

    out: str | None = None
    to_remote: bool = False
    remote: str | None = None
    jobs: int | None = None
    force: bool = False


def check(
    paths: Sequence[str], elsewhere: Elsewhere, *, glob: bool, keep: bool
) -> Elsewhere | None:
    """Return where data go, or None where they stay.

    Raises
    ------
    Usage
        If options contradict each other.
    """
    option = "--to-remote" if elsewhere.to_remote else "--out" if elsewhere.out else None
    if option is None:
        for given, name in ((elsewhere.remote, "--remote"), (elsewhere.jobs, "--remote-jobs")):
            if given is not None:
                raise Usage(f"'{name}' is for '--to-remote'")
        return None
    if len(paths) != 1:
        raise Usage(f"'{option}' takes one path, not {len(paths)}")
    if glob or not keep:
        raise Usage(f"'{'--glob' if glob else '--no-commit'}' cannot be used with '{option}'")
    return elsewhere


def add(project: Project, source: str, elsewhere: Elsewhere, *, cwd: Path) -> Added:
    """Track the content of a file or folder that may lie anywhere on this machine.

    Raises
    ------
    Negative
        If something lies at the path that is to be tracked, without `force`.
    Error
        If the data cannot be had, or cannot be sent.
    """
    if "://" in source:
        raise Usage(
            "this is an address, not a path",
            where=source,
            hint=f"assay import-url {'--to-remote ' if elsewhere.to_remote else ''}{source}",
        )
    origin = Path(os.path.normpath(cwd / source))
    path = _target(project, origin, elsewhere, cwd=cwd)
    scan.look(origin)
    declared = definition.read(project)
    tracking.refuse(declared, path)
    is_same = path == origin
    if os.path.lexists(path) and not is_same and not elsewhere.force:
        raise Negative(
            "something lies there already",
            where=project.shown(path, cwd=cwd),
            hint="overwrite it with '--force', or give another '--out'",
        )
    skip: Skip = project.ignore if project.root in origin.parents else no_skip
    with using(project):
        if elsewhere.to_remote:
            content = _send(project, origin, elsewhere, skip=skip)
            return tracking.record(project, path, content)
        label = f"adding {origin.name}"
        content = scan.store(origin, project.cache, project.index, skip=skip, label=label)
        if not is_same:
            _place(project, path, content, force=elsewhere.force)
        return tracking.record(project, path, content)


def _target(project: Project, origin: Path, elsewhere: Elsewhere, *, cwd: Path) -> Path:
    """Return the path that is tracked: a folder as `--out` means a path in it, as with `cp`."""
    if elsewhere.out is None:
        inside = project.root in origin.parents
        return project.resolve(origin if inside else origin.name, cwd=cwd)
    path = project.resolve(elsewhere.out, cwd=cwd)
    into = elsewhere.out.endswith("/") or (path.is_dir() and not elsewhere.force)
    return path / origin.name if into else path


def _place(project: Project, path: Path, content: Content, *, force: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    objects_checkout.checkout(
        [Target(path=path, oid=content.oid, is_executable=content.is_executable)],
        project.cache,
        project.index,
        work=project.work_dir,
        types=project.config.link_types(),
        skip=project.ignore,
        force=force,
    )


def _send(project: Project, origin: Path, elsewhere: Elsewhere, *, skip: Skip) -> Content:
    """Send a file or the files of a folder, and its list last; each is checked on the way."""
    settings = project.config.remote(elsewhere.remote)
    remote = open_with(settings, jobs=elsewhere.jobs)
    content = scan.scan(origin, project.index, skip=skip, label=f"hashing {origin.name}")
    if content.entries is None:
        files = {content.oid: origin}
    else:
        files = {entry.oid: origin / entry.relpath for entry in content.entries}
    there = remote.find([key_of(oid) for oid in files])
    items = [
        Item(key_of(o), path, o, "md5") for o, path in files.items() if key_of(o) not in there
    ]
    with staging(project.work_dir) as work, progress("sending", total=len(items)) as bar:
        damaged = remote.upload(items, advance=bar.advance) if items else []
        if damaged:
            raise Error(
                "the file changed while it was sent",
                where=damaged[0].where,
                hint="run the command again when nobody writes to it",
            )
        if content.entries is not None:
            place = Path(work.new())
            place.write_bytes(tree.dump(content.entries))
            listed = Item(key_of(content.oid), place, content.oid, "md5")
            remote.upload([listed], advance=bar.advance)
    return content
