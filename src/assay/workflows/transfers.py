"""Fetch, push and pull: the objects of the work tree and of other commits, by their remotes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.objects import transfer, tree
from assay.objects.checkout import Change
from assay.objects.remotes import Remote, RemoteSettings, open_remote
from assay.objects.remotes.local import LocalRemote
from assay.objects.transfer import Moved, Wanted
from assay.project import choosing, definition, revisions, tracking
from assay.project.choosing import Chosen, Kind
from assay.project.collecting import History
from assay.project.definition import Definition, Tracked
from assay.project.guarding import using
from assay.project.revisions import Scope
from assay.project.workspace import Project
from assay.workflows.data import Targets, choose


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be moved.

    Attributes
    ----------
    scope : Scope
        The commits that count beside the work tree.
    remote : str or None
        The remote; without it that of each output, or the default one.
    jobs : int or None
        How many objects move at a time; the remote's own setting where not given.
    run_cache : bool
        Also what commands made before, DVC's `runs`.
    max_size : int or None
        Only outputs that are smaller, in bytes, as far as their size is recorded.
    kinds : tuple of str
        Only "metrics", "plots"; all outputs where there are none.
    workspace : bool
        The work tree counts, too.
    runs : bool or None
        Also the records of runs; where not given, if no targets are named and the work tree
        counts.
    artifacts : bool or None
        The artifacts of all runs, or none; where not given, those of runs that are new here.
    """

    targets: Targets
    scope: Scope = Scope()
    remote: str | None = None
    jobs: int | None = None
    run_cache: bool = False
    max_size: int | None = None
    kinds: tuple[Kind, ...] = ()
    workspace: bool = True
    runs: bool | None = None
    artifacts: bool | None = None


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What a push, fetch or pull did: the objects, and the workspace.

    Attributes
    ----------
    remote : str
        The remotes that were asked, by name.
    n_runs : int
        Entries of the run cache that were moved.
    n_imported : int
        Outputs that came from other repositories.
    n_records, n_artifacts : int
        Runs whose record came or went, and objects that these name.
    complaints : list of str
        What of other commits cannot be read.
    files : list of Path
        The records that a push to a versioned remote changed: git should get them.
    notes : list of str
        What else a person should know.
    """

    remote: str
    data: Moved
    n_runs: int = 0
    n_imported: int = 0
    n_records: int = 0
    n_artifacts: int = 0
    changes: list[Change] = []
    complaints: list[str] = []
    files: list[Path] = []
    notes: list[str] = []


class Group(NamedTuple):
    """What goes to, or comes from, one remote; what a person calls an object, by its oid."""

    settings: RemoteSettings
    wanted: list[Wanted]
    names: dict[str, str]
    chosen: list[Chosen]


class Collected(NamedTuple):
    """The outputs that are meant, with the commit that recorded them; None for the work tree."""

    chosen: list[tuple[str | None, Chosen]]
    complaints: list[str]


def push(project: Project, request: Request) -> Synced:
    """Copy the objects of recorded data to their remotes.

    Raises
    ------
    Error
        If something could not be pushed; what could, was.
    """
    found = collect(project, request, pushing=True)
    _refuse_unrecorded(project, found, request)
    with using(project):
        done, files, notes = [], list[Path](), list[str]()
        each = groups(project, found, request)
        for group in each:
            if group.settings.is_versioned and request.scope:
                raise _versioned().refuse_commits(group.settings)
        if request.run_cache:
            open_remote(project.config.remote(request.remote))  # one that cannot have it says so
        for group in each:
            settings = with_jobs(group.settings, jobs=request.jobs)
            if settings.is_versioned:
                data, changed = _versioned().push(project, settings, group.chosen)
                files += changed
            else:
                remote = open_remote(settings)
                is_absent = isinstance(remote, LocalRemote) and remote.absence() is not None
                data = transfer.push(group.wanted, project.cache, remote)
                if is_absent and data.moved:
                    notes.append(f"remote '{settings.name}': made the folder {settings.url}")
            name = settings.name
            transfer.raise_incomplete(data, remote=name, verb="pushed", names=group.names)
            done.append((name, data))
        n_runs = _move_runs(project, request, pushing=True) if request.run_cache else 0
        synced = _synced(done, n_runs, found)
        synced = msgspec.structs.replace(synced, files=files, notes=notes)
        return _move_records(project, request, synced, pushing=True)


def _versioned() -> Any:
    """Return the module for remotes that keep versions: most projects have none."""
    from assay.workflows import versioned

    return versioned


class Incomplete(Error):
    """A pull or fetch that did what it could.

    Attributes
    ----------
    synced : Synced
        What was done.
    """

    def __init__(self, synced: Synced, errors: Sequence[Error]) -> None:
        first = errors[0]
        super().__init__(first.what, where=first.where, hint=first.hint)
        if len(errors) > 1:
            heads = [f"{e.where}: {e.what}" if e.where else e.what for e in errors]
            super().__init__("; ".join(heads), hint=first.hint)
        self.synced = synced
        self.exit_code = first.exit_code


def fetch(project: Project, request: Request, *, allow_missing: bool = False) -> Synced:
    """Copy the objects of recorded data from their remotes into the cache.

    Raises
    ------
    Incomplete
        If something could not be had; what could, is there.
    """
    synced, errors = _fetch(project, request, allow_missing=allow_missing)
    if errors:
        raise Incomplete(synced, errors)
    return synced


def _fetch(
    project: Project, request: Request, *, allow_missing: bool
) -> tuple[Synced, list[Error]]:  # fmt: skip
    """Ask all remotes, and return what each has that was not there and what is wrong."""
    errors: list[Error] = []
    with using(project):
        n_runs = _move_runs(project, request, pushing=False) if request.run_cache else 0
        found = collect(project, request, pushing=False)
        imported = [row for row in found.chosen if row[1].item.stage.is_import]
        n_imported, found = _import(project, found, request) if imported else (0, found)
        done = []
        for group in groups(project, found, request):
            name = group.settings.name
            try:
                data = bring(project, group, jobs=request.jobs)
            except Error as error:  # the other remotes may be there
                errors.append(error)
                data = Moved()
            if data.damaged or (data.missing and not allow_missing):
                errors.append(_lacking(group, data))
            done.append((name, data))
        synced = msgspec.structs.replace(_synced(done, n_runs, found), n_imported=n_imported)
        try:
            synced = _move_records(project, request, synced, pushing=False)
        except Error as error:  # the data are here
            errors.append(error)
    return synced, errors


def _lacking(group: Group, data: Moved) -> Error:
    """Return the error that says what a remote has not, and whether its folder is there at all."""
    hint = None if data.damaged else _remedy(group, data)
    error = transfer.incomplete(
        data, remote=group.settings.name, verb="pulled", names=group.names, hint=hint
    )
    opened = None if group.settings.is_versioned else open_remote(group.settings)
    absence = opened.absence() if isinstance(opened, LocalRemote) else None
    if absence is None:
        return error
    return Error(f"{absence.what}: {error.what}", where=absence.where, hint=absence.hint)


def _remedy(group: Group, data: Moved) -> str:
    """Return what to do about objects that are neither here nor on a remote."""
    lacking = set(data.missing)
    outputs = [one.item for one in group.chosen if one.item.row and one.item.row.oid in lacking]
    known = {item.row.oid for item in outputs if item.row}
    steps = []
    own = list({item.out.path: item for item in outputs if not item.out.push}.values())
    if own:
        names = ", ".join(f"'{item.out.path}'" for item in own)
        made = "'assay repro' makes it"
        where = "only who added it has it" if any(i.stage.is_data for i in own) else made
        steps.append(f"{names} is not shared ('push: false'): {where}")
    here = list({i.path: i for i in outputs if i.out.push and _lies_here(i)}.values())
    if here:
        names = " ".join(shlex.quote(item.stage.address) for item in here)
        steps.append(f"the workspace has it as recorded: 'assay commit {names}' keeps it again")
    if known != lacking or len(own) + len(here) < len(outputs):
        steps.append("'assay push' from a clone that has the data repairs a remote")
        steps.append("'assay repro' makes outputs again")
    return "; ".join([*steps, "'assay pull --allow-missing' goes on without"])


def _lies_here(item: Tracked) -> bool:
    """Say whether added data lie in the workspace just as they are recorded."""
    from assay.objects import scan
    from assay.objects.index import Index

    if item.row is None or not item.stage.is_data:
        return False
    index = Index(Path(":memory:"))
    try:
        return scan.scan(item.path, index.like(item.row.oid)).oid == item.row.oid
    except Error:
        return False
    finally:
        index.close()


def bring(project: Project, group: Group, *, jobs: int | None = None) -> Moved:
    """Copy what is wanted of one remote into the cache, as far as that has it."""
    settings = with_jobs(group.settings, jobs=jobs)
    if settings.is_versioned:
        moved: Moved = _versioned().fetch(project, settings, group.chosen)
        return moved
    return transfer.pull(group.wanted, project.cache, open_remote(settings))


def _import(
    project: Project, found: Collected, request: Request
) -> tuple[int, Collected]:  # fmt: skip
    """Bring the data of other repositories; return how many outputs, and what is left to fetch."""
    from assay.workflows import updates

    recorded = [(commit, one.item) for commit, one in found.chosen]
    brought = updates.bring(project, recorded, cwd=request.targets.cwd)
    left = {(commit, str(item.path)) for commit, item in brought.others}
    chosen = [row for row in found.chosen if (row[0], str(row[1].item.path)) in left]
    return brought.n_outputs, Collected(chosen, found.complaints)


def pull(
    project: Project, request: Request, *, force: bool = False, allow_missing: bool = False
) -> Synced:
    """Copy the objects of recorded data from their remotes, and check the work tree out.

    Where some cannot be had, the outputs that are whole are checked out all the same.

    Raises
    ------
    Incomplete
        If something could not be had; what could, is in the cache and in the work tree.
    """
    choosing.refuse_nested(definition.read(project))
    fetched, errors = _fetch(project, request, allow_missing=allow_missing)
    chosen = choose(definition.read(project), request.targets)
    if errors:
        chosen = [one for one in chosen if _is_here(project, one)]
    with using(project):
        try:
            changes = tracking.checkout(project, chosen, force=force, allow_missing=allow_missing)
        except Error as error:
            if not errors:
                raise
            raise Incomplete(fetched, [*errors, error]) from error
    synced = msgspec.structs.replace(fetched, changes=changes)
    if errors:
        raise Incomplete(synced, errors)
    return synced


def _is_here(project: Project, one: Chosen) -> bool:
    """Say whether all that is meant of an output is in the cache."""
    row = one.item.row
    if row is None or row.oid is None or not one.item.out.cache:
        return False
    if not one.within:
        return tracking.in_cache(project, row.oid)
    try:
        entries = tree.read(project.cache, row.oid)
    except Error:
        return False
    return not project.cache.lacking(e.oid for e in entries if one.holds(e.relpath))


def _synced(done: Sequence[tuple[str, Moved]], n_runs: int, found: Collected) -> Synced:
    total = Moved(
        moved=sum(data.moved for _, data in done),
        present=sum(data.present for _, data in done),
        missing=[oid for _, data in done for oid in data.missing],
    )
    names = ", ".join(name for name, _ in done)
    return Synced(remote=names, data=total, n_runs=n_runs, complaints=found.complaints)


def collect(project: Project, request: Request, *, pushing: bool) -> Collected:
    """Return the outputs that a request means: of the work tree, and of the commits of its scope.

    Raises
    ------
    NotFound
        If a target names nothing, neither in the work tree nor in one of the commits.
    """
    found: list[tuple[str | None, Chosen]] = []
    complaints: list[str] = []
    unknown: NotFound | None = None
    is_known = False
    for commit, declared in _versions(project, request, complaints):
        try:
            chosen = choose(declared, request.targets)
        except NotFound as error:
            unknown = unknown or error
            continue
        is_known = True
        chosen = choosing.of_kinds(declared, chosen, request.kinds)
        found += [(commit, one) for one in chosen if _is_meant(one, request, pushing=pushing)]
    if unknown is not None and not is_known:
        raise unknown
    return Collected(found, complaints)


def _is_meant(one: Chosen, request: Request, *, pushing: bool) -> bool:
    size = one.item.row.size if one.item.row is not None else None
    is_small = request.max_size is None or size is None or size < request.max_size
    return is_small and (one.item.out.push or not pushing)


def _versions(
    project: Project, request: Request, complaints: list[str]
) -> Iterator[tuple[str | None, Definition]]:
    if request.workspace:
        yield None, definition.read(project)
    if not request.scope:
        return
    if not project.uses_git:
        raise Usage("this project has no commits: it does without git", where=project.root)
    commits = revisions.commits(project.git_root, request.scope)
    with History(project) as history:
        yield from history.versions(commits)
        complaints += [f"{where}: {what}" for where, what in history.complaints.items()]


def groups(project: Project, found: Collected, request: Request) -> list[Group]:
    """Return what is wanted by remote: an output's own, else the one asked for or the default.

    Raises
    ------
    NotFound
        If a remote is not there.
    """
    made: dict[str, Group] = {}
    for commit, one in found.chosen:
        row, own = one.item.row, one.item.out.remote
        if row is None or row.oid is None or not one.item.out.cache:
            continue
        if request.remote is not None and own not in {None, request.remote}:
            continue
        name = request.remote or own or ""
        if name not in made:
            made[name] = Group(project.config.remote(name or None), [], {}, [])
        group = made[name]
        group.chosen.append(one)
        group.wanted.append(Wanted(row.oid, one.holds if one.within else None))
        path = project.relative(one.item.path)
        group.names.setdefault(row.oid, f"{path} at {commit[:10]}" if commit else path)
    if not made and (found.chosen or request.remote is not None):
        project.config.remote(request.remote)  # raises where there is none
    return list(made.values())


def open_with(settings: RemoteSettings, *, jobs: int | None) -> Remote:
    """Open a remote that moves so many objects at a time; its own number where not given."""
    return open_remote(with_jobs(settings, jobs=jobs))


def with_jobs(settings: RemoteSettings, *, jobs: int | None) -> RemoteSettings:
    """Return a remote that moves so many objects at a time; its own number where not given."""
    if jobs is None:
        return settings
    options = settings.options | {"jobs": str(jobs)}
    return msgspec.structs.replace(settings, options=options)


def _move_runs(project: Project, request: Request, *, pushing: bool) -> int:
    from assay.workflows import shared_runs

    remote = open_with(project.config.remote(request.remote), jobs=request.jobs)
    move = shared_runs.push if pushing else shared_runs.fetch
    return move(project, remote)


def _move_records(
    project: Project, request: Request, synced: Synced, *, pushing: bool
) -> Synced:  # fmt: skip
    from assay.workflows import record_transfers

    return record_transfers.move(project, request, synced, pushing=pushing)


def _refuse_unrecorded(project: Project, found: Collected, request: Request) -> None:
    """Raise if a person names an output of which nothing is recorded."""
    if not request.targets.names:
        return
    recorded = {one.item.path for _, one in found.chosen if one.item.row and one.item.row.oid}
    for _, one in found.chosen:
        if one.item.path not in recorded:
            raise Usage(
                "nothing is recorded of it yet",
                where=project.shown(one.item.path),
                hint=f"run 'assay repro {one.item.stage.address}' first",
            )
