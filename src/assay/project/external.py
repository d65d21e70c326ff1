"""Another repository, read at a revision or as it lies on this machine; it is never written to.

`Repository` shows git's files and tracked data as one tree. How it is found is the business of
`assay.project.clones`, who has its data that of `assay.project.supply`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.objects.renaming import renew
from assay.objects.staging import staging
from assay.project import definition, git
from assay.project.definition import Tracked
from assay.project.supply import Overrides, Supply
from assay.project.workspace import Project

_NEVER = frozenset({".git", ".hg", ".dvc", ".assay"})
_LINK, _SUBMODULE = "120000", "160000"


class Node(msgspec.Struct, kw_only=True):
    """A file or folder of a repository.

    Attributes
    ----------
    path : str
        From the root of the repository, with `/`; empty for the root.
    oid : str or None
        Its MD5, where it is tracked as data.
    size : int or None
        Bytes, where they are known without looking inside.
    blob : str or None
        What git calls its content; `place` is where it lies otherwise.
    supply : Supply or None
        Who has the data.
    """

    path: str
    is_dir: bool
    is_out: bool = False
    oid: str | None = None
    size: int | None = None
    is_executable: bool = False
    blob: str | None = None
    place: Path | None = None
    supply: Supply | None = None
    remote: str | None = None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def is_metafile(self) -> bool:
        """Whether it tells DVC what to do: such files are listed, and never imported."""
        return not self.is_dir and (
            self.name in {".dvcignore", "dvc.yaml"} or self.name.endswith(".dvc")
        )


class Repository:
    """The files and data of another repository.

    Attributes
    ----------
    shown : str
        Its address for people, without user and password.
    commit : str or None
        What is read; None is the workspace of a folder on this machine.
    """

    def __init__(
        self,
        project: Project,
        *,
        shown: str,
        commit: str | None,
        cache: Cache,
        overrides: Overrides,
        is_here: bool,
        home: Path | None = None,
    ) -> None:
        self.shown, self.commit = shown, commit
        self.root = project.root
        self._cache, self._overrides, self._is_here = cache, overrides, is_here
        self._home = home  # the work tree that a clone is of, where that is on this machine
        self._ignore = project.ignore
        self._git_root = project.git_root
        self._known: dict[str, dict[str, Node]] = {"": {}}  # what is in each folder
        self._scanned: set[str] = set()
        self._supplies: dict[str, Supply] = {}
        if commit is None:
            self._add_project("", project)
        else:
            self._read_commit(project, commit)

    def _read_commit(self, project: Project, commit: str) -> None:
        prefix = os.path.relpath(self.root, self._git_root)
        prefix = "" if prefix == "." else f"{prefix}/"
        out = git.git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, cwd=self._git_root)
        projects = {""}
        for line in out.split(b"\0"):
            if not line:
                continue
            about, _, name = os.fsdecode(line).partition("\t")
            mode, _, blob, size = about.split()
            if not name.startswith(prefix) or mode == _SUBMODULE:
                continue
            path = name[len(prefix) :]
            above, found, _ = f"/{path}".partition("/.dvc/")
            if found:
                projects.add(above[1:])
            elif not _NEVER.intersection(path.split("/")):
                length = int(size) if size.isdecimal() else None
                node = Node(path=path, is_dir=False, size=length, blob=blob)
                node.is_executable = mode == "100755"
                self._put(self._aim(node) if mode == _LINK else node)
        for folder in sorted(projects):
            self._add_project(folder, Project(self.root / folder) if folder else project)

    def _aim(self, link: Node) -> Node:
        """Return a link of git's as the file it points to, if that lies in the repository."""
        text = os.fsdecode(self.read(link))
        folder = link.path.rpartition("/")[0]
        aim = os.path.normpath(f"{folder}/{text}" if folder else text)
        if not aim.startswith(("/", "../")):
            place = f"{self.commit}:./{aim}"
            blob = git.git(
                "rev-parse", "-q", "--verify", place, cwd=self._git_root, accept=(0, 1, 128)
            )  # fmt: skip
            if blob.strip():
                return msgspec.structs.replace(link, blob=blob.decode().strip(), size=None)
        return msgspec.structs.replace(link, blob=None, size=None)

    def _add_project(self, folder: str, project: Project) -> None:
        """Put the data of a project into the tree; a repository may hold several."""
        if self.commit is None:
            declared = definition.read(project)
        else:
            declared = definition.read_at(project, self.commit)
        supply = Supply.of(
            project,
            commit=self.commit,
            overrides=self._overrides,
            is_here=self._is_here,
            shown=self.shown,
            home=self._home,
        )
        self._supplies[folder] = supply
        for item in declared.tracked:
            if item.row is not None and item.row.versions:
                supply.know(os.path.relpath(item.path, project.root), item.row)
            self._add_out(item, supply)

    def _add_out(self, item: Tracked, supply: Supply) -> None:
        if not item.out.cache or item.row is None or item.row.oid is None:
            return
        if self.root not in item.path.parents:
            return  # it names a place outside of its repository
        row = item.row
        self._put(
            Node(
                path=item.path.relative_to(self.root).as_posix(),
                is_dir=row.is_directory,
                is_out=True,
                oid=row.oid,
                size=row.size,
                is_executable=row.is_executable,
                supply=supply,
                remote=item.out.remote,
            )
        )

    def _put(self, node: Node) -> None:
        """Put a node into the tree, with the folders above it."""
        above, _, name = node.path.rpartition("/")
        self._known.setdefault(above, {})[name] = node
        while above:
            inner, (above, _, name) = above, above.rpartition("/")
            siblings = self._known.setdefault(above, {})
            if name in siblings:
                return
            siblings[name] = Node(path=inner, is_dir=True)

    def children(self, node: Node) -> list[Node]:
        """Return what is in a folder, sorted by name.

        Raises
        ------
        Error
            If it is a tracked folder whose list of files cannot be had.
        """
        if node.path not in self._scanned:
            self._scanned.add(node.path)
            if node.oid is not None:
                self._expand(node)
            elif self.commit is None and not node.is_out:
                self._scan(node.path)
        inside = self._known.get(node.path, {})
        return [inside[name] for name in sorted(inside)]

    def _expand(self, node: Node) -> None:
        """Read the list of files of a tracked folder; its own folders are no outputs."""
        if node.oid is None or node.supply is None or not node.oid.endswith(DIR):
            return
        node.supply.bring([node.oid], self._cache, remote=node.remote)
        self._known[node.path] = {}
        for entry in tree.read(self._cache, node.oid):
            self._put(
                Node(
                    path=f"{node.path}/{entry.relpath}",
                    is_dir=False,
                    is_out=True,
                    oid=entry.oid,
                    size=node.supply.size_of(entry.oid, self._cache),
                    supply=node.supply,
                    remote=node.remote,
                )
            )
            self._mark_inner(node.path, entry.relpath)

    def _mark_inner(self, root: str, relpath: str) -> None:
        folder = relpath.rpartition("/")[0]
        while folder:
            above, _, name = f"{root}/{folder}".rpartition("/")
            self._known[above][name].is_out = True
            self._scanned.add(f"{root}/{folder}")
            folder = folder.rpartition("/")[0]

    def _scan(self, folder: str) -> None:
        """Look into a folder of the workspace; what is tracked as data is known already."""
        place = self.root / folder
        known = self._known.setdefault(folder, {})
        if folder and (place / ".dvc").is_dir():
            self._add_project(folder, Project(place))
        if not place.is_dir():
            return
        with os.scandir(place) as entries:
            for entry in entries:
                is_dir = entry.is_dir()
                if entry.name in known or self._ignore(entry.path, is_dir):
                    continue
                path = f"{folder}/{entry.name}" if folder else entry.name
                node = Node(path=path, is_dir=is_dir, place=Path(entry.path))
                if not is_dir:
                    if not entry.is_file():
                        continue  # neither file nor folder, or a link to nothing
                    status = entry.stat()
                    node.size = status.st_size
                    node.is_executable = bool(status.st_mode & 0o111)
                known[entry.name] = node

    def find(self, path: str) -> Node:
        """Return the file or folder at a path.

        Raises
        ------
        NotFound
            If there is none, with the nearest name; also for a path that leaves the repository.
        """
        clean = os.path.normpath(path) if path else "."
        if clean == ".." or clean.startswith(("/", "../")):
            raise Error(
                f"the path '{path}' leads out of the repository",
                where=self.shown,
                hint="give a path relative to its root, without '..'",
            )
        node = Node(path="", is_dir=True)
        for part in PurePosixPath(clean).parts:
            inside = {child.name: child for child in self.children(node)} if node.is_dir else {}
            if part not in inside:
                raise self._no_path(path, part, inside)
            node = inside[part]
        return node

    def _no_path(self, path: str, part: str, inside: dict[str, Node]) -> NotFound:
        at = f" at {self.commit[:8]}" if self.commit else ""
        hint = did_you_mean(part, inside) or f"see what there is: assay list {self.shown}"
        return NotFound(f"the repository has no '{path}'{at}", where=self.shown, hint=hint)

    def files(self, node: Node) -> Iterator[Node]:
        """Go through the files of a folder (or the file itself) that an import takes.

        Raises
        ------
        Error
            At a link of git's that leads out of the repository.
        """
        if not node.is_dir:
            if node.oid is None and node.blob is None and node.place is None:
                raise Error(
                    f"'{node.path}' is a link to something that is not in the repository",
                    where=self.shown,
                    hint="name another path, or let the repository hold the file itself",
                )
            yield node
            return
        for child in self.children(node):
            if not child.is_metafile:
                yield from self.files(child)

    def read(self, node: Node) -> bytes:
        """Return the bytes of a file that is not data."""
        if node.place is not None:
            return node.place.read_bytes()
        return git.git("cat-file", "blob", node.blob or "", cwd=self._git_root)

    def store(self, nodes: Sequence[Node], cache: Cache) -> dict[str, str]:
        """Put files, data or not, into a cache; returns the oid by path.

        Raises
        ------
        Error
            If some data cannot be had.
        """
        oids = {node.path: node.oid for node in nodes if node.oid is not None}
        places: dict[tuple[str | None, int], list[Node]] = {}
        for node in nodes:
            if node.oid is not None:
                places.setdefault((node.remote, id(node.supply)), []).append(node)
        for (remote, _), group in places.items():
            supply = group[0].supply
            if supply is not None:
                supply.bring([n.oid for n in group if n.oid], cache, remote=remote)
        plain = [node for node in nodes if node.oid is None]
        with staging(cache.folder) as stage:
            files = [node.place or self._written(node, Path(stage.new())) for node in plain]
            stored = cache.add_files(files)
        renewed = renew(cache, oids.values())
        oids = {path: renewed[oid] for path, oid in oids.items()}
        return oids | {n.path: s.oid for n, s in zip(plain, stored, strict=True)}

    def _written(self, node: Node, path: Path) -> Path:
        path.write_bytes(self.read(node))
        return path
