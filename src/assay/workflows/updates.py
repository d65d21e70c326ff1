"""Follow imports: what has moved on, the new data, and the recorded data once more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, Negative, NotFound, Usage
from assay.base.files import write_atomic
from assay.objects.legacy import is_legacy, named
from assay.objects.renaming import age
from assay.objects.scan import Content
from assay.project import clones, definition, dvcfile, edit, git, rows, tracking
from assay.project.address import Address, open_address
from assay.project.definition import Definition, Tracked
from assay.project.dvcfile import Origin
from assay.project.external import Repository
from assay.project.grammar import Source
from assay.project.guarding import using
from assay.project.stages import Row, Stage
from assay.project.supply import Overrides
from assay.project.workspace import Project
from assay.workflows import imports, worktrees
from assay.workflows.imports import Imported

Recorded = tuple[str | None, Tracked]
"""An output with the commit that records it; None is the work tree."""

_MARKS = ("md5", "etag", "checksum")


def update(
    project: Project,
    targets: Sequence[str],
    *,
    cwd: Path,
    rev: str | None = None,
    recursive: bool = False,
    download: bool = True,
    force: bool = False,
    to_remote: str | bool = False,
    jobs: int | None = None,
) -> list[Imported]:
    """Bring imports to what their source has now, or to another revision of it.

    Parameters
    ----------
    recursive : bool
        Targets are folders; all imports in them are meant.
    download : bool
        False records what is there now, and leaves the data for later.
    force : bool
        Overwrite data in the workspace that are not saved.
    jobs : int or None
        Transfers at one time.
    """
    if to_remote and not download:
        raise Usage("'--to-remote' moves the data, '--no-download' does not: choose one")
    declared = definition.read(project)
    stages = _chosen(declared, targets, cwd=cwd, recursive=recursive)
    with using(project):
        return [
            _updated(
                declared, stage, cwd=cwd, rev=rev, download=download, force=force,
                to_remote=to_remote, jobs=jobs,
            )
            for stage in stages
        ]  # fmt: skip


def _updated(
    declared: Definition,
    stage: Stage,
    *,
    cwd: Path,
    rev: str | None,
    download: bool,
    force: bool,
    to_remote: str | bool,
    jobs: int | None,
) -> Imported:
    remote = worktrees.remote_of(declared.project, stage)
    if remote is not None:
        worktrees.refuse_options(stage, rev=rev, download=download, to_remote=bool(to_remote))
        return worktrees.take_over(declared, _item(declared, stage), remote, force=force)
    origin = _origin(declared.project, stage)
    if not origin.is_repository:
        if rev is not None:
            what = "data from an address have no revisions"
            raise Usage(what, where=stage.address, hint="omit '--rev'")
        return _refresh(
            declared, stage, origin, download=download, force=force, to_remote=to_remote, jobs=jobs
        )
    if to_remote:
        raise Usage(
            "data of another repository are not sent to a remote",
            where=stage.address,
            hint="omit '--to-remote': they stay where they are shared already",
        )
    return _follow(
        declared, stage, origin, cwd=cwd, rev=rev, download=download, force=force, jobs=jobs
    )


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What came from other repositories, and which outputs a remote of ours has instead.

    Attributes
    ----------
    n_outputs : int
        How many outputs were not in the cache, and are now.
    others : list
        The outputs that are not imports from a repository, each with its commit.
    """

    n_outputs: int
    others: list[Recorded]


def bring(project: Project, recorded: Iterable[Recorded], *, cwd: Path) -> Brought:
    """Put the recorded data of imports from other repositories into the cache.

    Parameters
    ----------
    recorded : iterable of (str or None, Tracked)
        Outputs with the commit that records them; None is the work tree.

    Raises
    ------
    Error
        If data cannot be had any more, or are not what was recorded; all that could is there.
    """
    count, others, failed = 0, list[Recorded](), list[Error]()
    for commit, item in recorded:
        origin = _origin_at(project, item.stage, commit) if item.stage.is_import else None
        if origin is None or not (origin.is_repository or origin.is_versioned):
            others.append((commit, item))
            continue
        oid = item.row.oid if item.row is not None else None
        if oid is None or tracking.in_cache(project, oid):
            continue
        try:
            with using(project):
                _bring(project, item.stage, origin, oid, cwd=cwd)
            count += 1
        except Error as error:
            failed.append(error)
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise type(first)(first.what + more, where=first.where, hint=first.hint)
    return Brought(n_outputs=count, others=others)


def available(project: Project, stages: Iterable[Stage], *, cwd: Path) -> dict[str, list[str]]:
    """Return the imports whose repository has moved on: what they import, by address."""
    found: dict[str, list[str]] = {}
    for stage in stages:
        origin = _origin_at(project, stage, None) if stage.is_import else None
        if origin is None or origin.url is None or origin.rev_lock is None:
            continue
        base = _base(project, stage, origin, cwd=cwd)
        kept = project.assay_dir / "clones"
        if clones.latest(origin.url, cwd=base, clones=kept, rev=origin.rev) != origin.rev_lock:
            found.setdefault(stage.address, []).append(_shown(origin))
    return found


def _bring(project: Project, stage: Stage, origin: Origin, oid: str, *, cwd: Path) -> None:
    if origin.is_versioned:
        address = _address(project, stage, origin)
        content = address.store(project.cache, project.index, recorded=origin.recorded)
    else:
        source = _open(project, stage, origin, cwd=cwd, rev=origin.rev_lock or origin.rev)
        content = imports.store(source, source.find(origin.path), project.cache)
    found = age(project.cache, content.oid) if is_legacy(oid) else content.oid
    if found != oid:
        raise Error(
            f"'{_shown(origin)}' is not what was imported: it is {named(found)}, not {named(oid)}",
            where=project.shown(stage.file),
            hint=f"take what is there now with 'assay update {stage.address}'",
        )


def _chosen(
    declared: Definition, targets: Sequence[str], *, cwd: Path, recursive: bool
) -> list[Stage]:
    chosen: dict[str, Stage] = {}
    for target in targets:
        folder = Path(os.path.normpath(cwd / target))
        if recursive and folder.is_dir():
            inside = [s for s in declared.data if s.is_import and folder in s.file.parents]
        else:
            inside = declared.find(target, cwd=cwd)
        for stage in inside:
            if not stage.is_import and worktrees.remote_of(declared.project, stage) is None:
                raise Negative(
                    "this is not an import, so there is nothing to follow",
                    where=stage.address,
                    hint="only data of 'assay import' and 'assay import-url' are updated",
                )
            chosen[stage.address] = stage
    return [chosen[name] for name in sorted(chosen)]


def _origin_at(project: Project, stage: Stage, commit: str | None) -> Origin | None:
    shown = project.shown(stage.file)
    if commit is None:
        return dvcfile.origin(Source.of(stage.file, shown=shown))
    path = stage.file.relative_to(project.git_root).as_posix()
    text = git.read_file(project.git_root, commit, path) or b""
    return dvcfile.origin(Source(f"{commit}:{path}", text.decode(errors="replace")))


def _origin(project: Project, stage: Stage) -> Origin:
    found = _origin_at(project, stage, None)
    if found is None or len(stage.outs) != 1:
        raise Error(
            "this import is of a kind that Assay does not know",
            where=project.shown(stage.file),
            hint="use dvc for this file",
        )
    return found


def _follow(
    declared: Definition,
    stage: Stage,
    origin: Origin,
    *,
    cwd: Path,
    rev: str | None,
    download: bool,
    force: bool,
    jobs: int | None,
) -> Imported:
    """Update an import from another repository."""
    project = declared.project
    source = _open(project, stage, origin, cwd=cwd, rev=rev or origin.rev, jobs=jobs)
    node = source.find(origin.path)
    same = source.commit in {origin.rev_lock} - {None} and rev in {None, origin.rev}
    item = _item(declared, stage)
    if same and _is_current(project, item, stage, download=download):
        return _unchanged(item, origin, commit=source.commit)
    content = imports.store(source, node, project.cache) if download else None
    repo = dict(origin.recorded["repo"])
    fresh = {"rev": rev or origin.rev, "rev_lock": source.commit}
    repo |= {key: value for key, value in fresh.items() if value}
    dep = origin.recorded | {"repo": {key: repo[key] for key in imports.REPO_KEYS if key in repo}}
    _rewrite(project, item, dep, content, force=force)
    oid = content.oid if content else None
    return Imported(path=item.path, origin=_shown(origin), oid=oid, commit=source.commit,
                    files=[stage.file])  # fmt: skip


def _refresh(
    declared: Definition,
    stage: Stage,
    origin: Origin,
    *,
    download: bool,
    force: bool,
    to_remote: str | bool,
    jobs: int | None,
) -> Imported:
    """Update an import from an address."""
    project = declared.project
    address = _address(project, stage, origin, jobs=jobs)
    item = _item(declared, stage)
    state = address.state(project.index)
    same = _marks(origin.recorded) == _marks(state)
    if same and (to_remote or _is_current(project, item, stage, download=download)):
        return _unchanged(item, origin, commit=None)
    content = None
    if to_remote:
        content = imports.sent(project, address.store, to_remote)
    elif download:
        content = address.store(project.cache, project.index, recorded=state)
    imports.refuse_edited(address, content, state)
    dep = imports.dep_of(state, origin.path, dict(origin.recorded.get("fs_config") or {}))
    _rewrite(project, item, dep, content, force=force, place=not to_remote)
    oid = content.oid if content else None
    return Imported(path=item.path, origin=_shown(origin, address), oid=oid, commit=None,
                    files=[stage.file])  # fmt: skip


def _marks(state: Mapping[str, Any]) -> list[Any]:
    """Return what tells one state of an address from the next: a hash, or what a server says."""
    files = [[one.get(mark) for mark in ("relpath", *_MARKS)] for one in state.get("files") or ()]
    return [*(state.get(mark) for mark in _MARKS), files]


def _item(declared: Definition, stage: Stage) -> Tracked:
    return next(item for item in declared.tracked if item.stage is stage)


def _is_current(project: Project, item: Tracked, stage: Stage, *, download: bool) -> bool:
    """Say whether there is nothing to do for an import whose source has not moved."""
    data = Source.of(stage.file).load()
    if data.get("md5") != dvcfile.stage_md5(data):
        return False
    return not download or tracking.state_of(project, item) is None


def _unchanged(item: Tracked, origin: Origin, *, commit: str | None) -> Imported:
    oid = item.row.oid if item.row else None
    return Imported(path=item.path, origin=_shown(origin), oid=oid, commit=commit, files=[],
                    changed=False)  # fmt: skip


def _rewrite(
    project: Project,
    item: Tracked,
    dep: dict[str, Any],
    content: Content | None,
    *,
    force: bool,
    place: bool = True,
) -> None:
    """Write what is imported now into the `.dvc` file, and check it out: both, or neither."""
    file = item.stage.file
    before = file.read_bytes()
    data = Source.of(file).load()
    out = data["outs"][0]
    kept = {k: v for k, v in out.items() if k not in {"md5", "size", "nfiles", "isexec", "hash"}}
    row = Row(path=out["path"])
    if content is not None:
        row = imports.row_of(out["path"], content)
    fresh = {k: v for k, v in rows.for_dvc_file(row).items() if k != "path"}
    data["deps"], data["outs"] = [dep], [fresh | kept]
    top = {"md5": dvcfile.stage_md5(data)} | {k: v for k, v in data.items() if k != "md5"}
    edit.write(file, top)
    try:
        if content is not None and place:
            imports.check_out(project, item.path, content.oid, force=force)
    except BaseException:
        write_atomic(file, before)
        raise


def _address(
    project: Project, stage: Stage, origin: Origin, *, jobs: int | None = None
) -> Address:
    options = {k: str(v) for k, v in (origin.recorded.get("fs_config") or {}).items()}
    options |= {} if jobs is None else {"jobs": str(jobs)}
    return open_address(origin.path, cwd=stage.wdir, config=project.config, options=options)


def _open(
    project: Project,
    stage: Stage,
    origin: Origin,
    *,
    cwd: Path,
    rev: str | None,
    jobs: int | None = None,
) -> Repository:
    overrides = Overrides(config=origin.config, remote=origin.remote, jobs=jobs)
    base = _base(project, stage, origin, cwd=cwd)
    return imports.open_source(project, origin.url or "", cwd=base, rev=rev, overrides=overrides)


def _base(project: Project, stage: Stage, origin: Origin, *, cwd: Path) -> Path:
    """Return the folder to which a relative address belongs.

    DVC writes it as it was typed, and does not say where: beside the file, in the root, or here.
    The folder whose repository has the commit that was imported counts first.
    """
    bases = dict.fromkeys((stage.wdir, project.root, cwd))
    there = [base for base in bases if clones.is_folder(origin.url or "", cwd=base)]
    for base in there:
        if origin.rev_lock and clones.has(origin.url or "", origin.rev_lock, cwd=base):
            return base
    if not there and clones.looks_local(origin.url or ""):
        raise NotFound(
            f"the repository '{origin.url}' that it was imported from is gone",
            where=project.shown(stage.file),
            hint="put it there again, or import from another place with 'assay import --force'",
        )
    return there[0] if there else stage.wdir


def _shown(origin: Origin, address: Address | None = None) -> str:
    if origin.url is not None:
        return f"{origin.path} ({clones.shown(origin.url)})"
    if address is not None and address.path is not None:
        return str(address.path)
    return clones.shown(origin.path)
