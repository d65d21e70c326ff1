"""Import data from another repository or an address, follow them, and bring them again.

An import is a `.dvc` file that also says where the data come from. Following it later, and
bringing its data again, is the business of `assay.workflows.updates`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from assay.base.errors import Error, Negative, Usage
from assay.base.files import write_atomic
from assay.objects import checkout as objects_checkout
from assay.objects import tree
from assay.objects.cache import Cache
from assay.objects.checkout import Target
from assay.objects.index import Index
from assay.objects.scan import Content
from assay.project import clones, definition, dvcfile, edit, gitignore, rows
from assay.project.address import Address, open_address
from assay.project.external import Node, Repository
from assay.project.guarding import using
from assay.project.stages import Row
from assay.project.supply import Overrides
from assay.project.workspace import Project

How = Literal["all", "no-download", "no-exec"]
"""Bring the data; only look at their state; look at nothing."""

_SECRET = re.compile(r"secret|password|passphrase|token|account_key|customer_key|connection_str")

REPO_KEYS = ("url", "rev", "rev_lock", "config", "remote")
"""What a record says of another repository, in DVC's order."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import or update did with one path.

    Attributes
    ----------
    origin : str
        Where the data come from, for people.
    oid : str or None
        The content that is recorded now.
    commit : str or None
        The commit of the other repository.
    files : list of Path
        The files that git should get.
    changed : bool
        Whether anything was there to do.
    """

    path: Path
    origin: str
    oid: str | None
    commit: str | None
    files: list[Path]
    changed: bool = True


def import_(
    project: Project,
    url: str,
    path: str,
    *,
    cwd: Path,
    out: str | None = None,
    rev: str | None = None,
    how: How = "all",
    force: bool = False,
    overrides: Overrides | None = None,
) -> Imported:
    """Take a file or folder of another repository, tracked as data or by git, and track it.

    Without `rev` that is what the last commit has: what lies in the other workspace beside it
    belongs to no revision that could be recorded.
    """
    chosen = overrides or Overrides()
    target = _destination(project, path, out, cwd=cwd, force=force)
    repo = {"url": url, "rev": rev, "config": chosen.config, "remote": chosen.remote}
    commit, content = None, None
    with using(project):
        if how != "no-exec":
            source = open_source(project, url, cwd=cwd, rev=rev, overrides=chosen)
            node = source.find(path)
            content = store(source, node, project.cache) if how == "all" else None
            commit = repo["rev_lock"] = source.commit
        given = {key: repo[key] for key in REPO_KEYS if repo.get(key)}
        dep = {"path": path, "repo": given}
        files = _put(project, target, dep, content, locked=how != "no-exec", force=force)
    origin = f"{path} ({clones.shown(url)})"
    oid = content.oid if content else None
    return Imported(path=target, origin=origin, oid=oid, commit=commit, files=files)


def import_url(
    project: Project,
    url: str,
    *,
    cwd: Path,
    out: str | None = None,
    how: How = "all",
    force: bool = False,
    options: dict[str, str] | None = None,
    to_remote: str | bool = False,
    version_aware: bool = False,
    jobs: int | None = None,
) -> Imported:
    """Take a file or folder from a path or URL, and track it.

    `to_remote` (a name, or True for the default remote) sends the data there and nowhere else.
    With `version_aware` the bucket keeps the versions that were taken, and they come from there.
    """
    _refuse_secrets(options or {})
    fs_config: dict[str, Any] = dict(options or {})
    if version_aware:
        fs_config["version_aware"] = True
        options = (options or {}) | {"version_aware": "true"}
    target = _destination(project, url, out, cwd=cwd, force=force)
    extra = (options or {}) | ({} if jobs is None else {"jobs": str(jobs)})
    address = open_address(url, cwd=cwd, config=project.config, options=extra)
    if version_aware and not address.is_versioned:
        raise Usage(
            "a path on this machine keeps no versions", where=url, hint="omit '--version-aware'"
        )
    written = url
    if address.path is not None and "://" not in url:
        written = _written(project, url, address.path, wdir=target.parent, cwd=cwd)
    content, state = None, dict[str, Any]()
    with using(project):
        if to_remote:
            content = sent(project, address.store, to_remote)
        else:
            content, state = taken(project, address, how=how)
        if to_remote:
            state = address.state(project.index)
            refuse_edited(address, content, state)
        dep = dep_of(state, written, fs_config)
        extra_keys = {"push": False} if address.is_versioned and how != "no-exec" else {}
        files = _put(project, target, dep, content, locked=how != "no-exec", force=force,
                     place=not to_remote, extra=extra_keys)  # fmt: skip
    shown = _shown(project, address)
    oid = content.oid if content else None
    return Imported(path=target, origin=shown, oid=oid, commit=None, files=files)


def taken(
    project: Project, address: Address, *, how: How
) -> tuple[Content | None, dict[str, Any]]:
    """Put what lies at an address into the cache, as far as is asked for; return its state too."""
    if how == "no-exec":
        return None, {}
    if address.is_versioned:  # the state says what is to come, whatever is there by then
        state = address.state(project.index)
        if how == "no-download":
            return None, state
        return address.store(project.cache, project.index, recorded=state), state
    content = address.store(project.cache, project.index) if how == "all" else None
    state = address.state(project.index)
    refuse_edited(address, content, state)
    return content, state


def dep_of(state: dict[str, Any], path: str, fs_config: dict[str, Any]) -> dict[str, Any]:
    """Return the dependency of an import from an address, in DVC's order."""
    facts = {key: value for key, value in state.items() if key != "files"}
    dep = facts | {"hash": "md5", "path": path}
    if fs_config:
        dep["fs_config"] = fs_config
    return dep | ({"files": state["files"]} if "files" in state else {})


def _refuse_secrets(options: dict[str, str]) -> None:
    for name in options:
        if _SECRET.search(name):
            raise Usage(
                f"'{name}' is a secret, and would be written into a file that git keeps",
                hint="name a remote, set it there with 'assay remote modify --local', "
                "and import remote://NAME/PATH",
            )


def refuse_edited(address: Address, content: Content | None, state: dict[str, Any]) -> None:
    """Raise if a path changed between the reading of its data and of its state."""
    if content is not None and address.is_hashed and state["md5"] != content.oid:
        raise Error(
            "the data changed while they were imported",
            where=address.shown,
            hint="run the command again when they are at rest; nothing was changed",
        )


def _shown(project: Project, address: Address) -> str:
    if address.path is None:
        return address.shown
    inside = project.root in address.path.parents
    return project.relative(address.path) if inside else str(address.path)


def store(source: Repository, node: Node, cache: Cache) -> Content:
    """Put what lies at a place of another repository into a cache, and return its content."""
    nodes = list(source.files(node))
    oids = source.store(nodes, cache)
    size = sum(cache.path(oid).stat().st_size for oid in oids.values())
    if not node.is_dir:
        return Content(oid=oids[node.path], size=size)
    prefix = len(node.path) + 1 if node.path else 0
    entries = sorted(tree.Entry(path[prefix:], oid) for path, oid in oids.items())
    entries = tree.load(tree.dump(entries), where=source.shown)  # no name leaves its folder
    oid = tree.add(cache, entries)
    return Content(oid=oid, size=size, n_files=len(entries), entries=entries)


def open_source(
    project: Project,
    url: str,
    *,
    cwd: Path,
    rev: str | None,
    overrides: Overrides | None = None,
) -> Repository:
    """Open the repository that an import is from, at a revision or its last commit."""
    kept = project.assay_dir / "clones"
    return clones.open_repository(
        url, cwd=cwd, clones=kept, cache=project.cache, rev=rev, committed=True,
        overrides=overrides,
    )  # fmt: skip


def _destination(
    project: Project, source: str, out: str | None, *, cwd: Path, force: bool
) -> Path:
    """Return where an import goes, and refuse what is taken."""
    name = os.path.basename(os.path.normpath(urlsplit(source).path))  # noqa: PTH119
    place = out or name
    if (cwd / place).is_dir() and out is not None:
        place = os.path.join(place, name)  # noqa: PTH118
    if not place or os.path.basename(os.path.normpath(place)) in {"", ".", ".."}:  # noqa: PTH119
        raise Usage("this has no name of its own", where=source, hint="give one with '--out'")
    path = project.resolve(place, cwd=cwd)
    shown = project.shown(path, cwd=cwd)
    if path.suffix == dvcfile.SUFFIX:
        raise Usage("a '.dvc' file is a record and cannot be data", where=shown)
    if os.path.lexists(path) and not force:
        raise Negative(
            "there is something here already", where=shown,
            hint="give another name with '--out', or overwrite it with '--force'",
        )  # fmt: skip
    _refuse_taken(project, path, shown=shown, force=force)
    project.ignore.refuse(path, shown=shown)
    gitignore.refuse_tracked(project, path)
    return path


def _refuse_taken(project: Project, path: Path, *, shown: str, force: bool) -> None:
    for item in definition.read(project).tracked:
        if item.path == path and not (item.stage.is_data and (force or item.stage.is_import)):
            raise Negative(
                f"this is tracked already, by '{item.stage.address}'", where=shown,
                hint="give another name with '--out'",
            )  # fmt: skip
        if item.path in path.parents or path in item.path.parents:
            raise Negative(
                f"it overlaps with '{project.shown(item.path)}', which is tracked by itself",
                where=shown, hint="give another place with '--out'",
            )  # fmt: skip


def _written(project: Project, url: str, path: Path, *, wdir: Path, cwd: Path) -> str:
    """Return a path as the `.dvc` file has it: as typed, or relative to the file's own folder."""
    if Path(url).is_absolute() and project.root not in path.parents:
        return url
    if wdir == cwd and project.root not in path.parents:
        return url
    return Path(os.path.relpath(path, wdir)).as_posix()


def _put(
    project: Project,
    path: Path,
    dep: dict[str, Any],
    content: Content | None,
    *,
    locked: bool,
    force: bool,
    place: bool = True,
    extra: dict[str, Any] | None = None,
) -> list[Path]:
    """Record an import and check it out: both, or neither."""
    record = path.with_name(path.name + dvcfile.SUFFIX)
    dvcfile.refuse_other(record, path.name)
    before = record.read_bytes() if record.exists() else None
    files = _record(project, path, dep, content=content, locked=locked, extra=extra or {})
    try:
        if content is not None and place:
            check_out(project, path, content.oid, force=force)
    except BaseException:
        if before is None:
            record.unlink(missing_ok=True)
        else:
            write_atomic(record, before)
        raise
    return files


def check_out(project: Project, path: Path, oid: str, *, force: bool) -> None:
    """Bring a path of the workspace to a content of the cache."""
    objects_checkout.checkout(
        [Target(path=path, oid=oid)],
        project.cache,
        project.index,
        work=project.work_dir,
        types=project.config.link_types(),
        skip=project.ignore,
        force=force,
    )


def _record(
    project: Project,
    path: Path,
    dep: dict[str, Any],
    *,
    content: Content | None,
    locked: bool,
    extra: dict[str, Any],
) -> list[Path]:
    """Write the `.dvc` file of an import, and let git ignore its data."""
    file = path.with_name(path.name + dvcfile.SUFFIX)
    row = rows.for_dvc_file(row_of(path.name, content)) | extra
    data: dict[str, Any] = {"frozen": True, "deps": [dep], "outs": [row]}
    if locked:
        data = {"md5": dvcfile.stage_md5(data)} | data
    path.parent.mkdir(parents=True, exist_ok=True)
    ignored = gitignore.add(project, [path])
    edit.write(file, data)
    return [file, *ignored]


def row_of(name: str, content: Content | None) -> Row:
    """Return the record of imported content; as DVC's it has no executable bit."""
    if content is None:
        return Row(path=name)
    return Row(path=name, oid=content.oid, size=content.size, n_files=content.n_files)


def sent(project: Project, put: Callable[[Cache, Index], Content], remote: str | bool) -> Content:
    """Send data to a remote by way of a cache that is gone afterwards."""
    import tempfile

    from assay.objects import transfer
    from assay.objects.remotes import open_remote

    settings = project.config.remote(remote if isinstance(remote, str) else None)
    with tempfile.TemporaryDirectory(dir=project.assay_dir) as folder:
        passing = Cache(Path(folder) / "files" / "md5")
        content = put(passing, Index(Path(":memory:")))
        moved = transfer.push([content.oid], passing, open_remote(settings))
        transfer.raise_incomplete(moved, remote=settings.name, verb="pushed")
    return content
