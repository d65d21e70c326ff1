"""A project on this machine: its root, and where its cache, objects, index and ledger lie."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from assay.base.errors import Error, NotFound, Usage
from assay.base.files import explain, write_atomic
from assay.objects.cache import Cache
from assay.objects.index import Index
from assay.project import git
from assay.project.config import Config
from assay.project.ignore import Ignore

_IGNORE_ALL = "*\n"
_DVC_GITIGNORE = "/config.local\n/tmp\n/cache\n"
_NO_SCM = "[core]\n    no_scm = True\n"
_DVCIGNORE = (
    "# Add patterns of files dvc should ignore, which could improve\n"
    "# the performance. Learn more at\n"
    "# https://dvc.org/doc/user-guide/dvcignore\n"
)


class Project:
    """A folder with `.dvc`, as a rule in a git repository.

    Attributes
    ----------
    root : Path
        The folder with `.dvc`; in a linked work tree, that of the work tree.
    home : Path
        The same folder in the clone to which the work tree belongs: it has the cache, `.assay`
        and the local configuration.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git_root = git.top(root) or root
        main = git.main_root(self.git_root)
        self.home = main / root.relative_to(self.git_root)

    @cached_property
    def uses_git(self) -> bool:
        """Whether code is kept with git; `assay init --no-scm` makes a project without it."""
        return git.top(self.root) is not None and not self.config.flag("core", "no_scm")

    @property
    def dvc_dir(self) -> Path:
        """The folder `.dvc` of this work tree."""
        return self.root / ".dvc"

    @cached_property
    def config(self) -> Config:
        """DVC's configuration."""
        return Config.of(self.dvc_dir, local_dir=self.home / ".dvc")

    @cached_property
    def cache(self) -> Cache:
        """DVC's objects."""
        folder = self.config.path("cache", "dir") or self.home / ".dvc" / "cache"
        return Cache(folder / "files" / "md5", legacy=folder)

    @cached_property
    def objects(self) -> Cache:
        """Our own objects: artifacts, profiles, bundles."""
        return Cache(self.assay_dir / "objects" / "sha256", algorithm="sha256")

    @cached_property
    def index(self) -> Index:
        """What was hashed already."""
        try:
            return Index(self.assay_dir / "index.db")
        except Error:  # a read-only project: the index only saves work
            return Index(Path(":memory:"))

    @cached_property
    def ignore(self) -> Ignore:
        """What `.dvcignore` says."""
        return Ignore(self.root)

    @cached_property
    def assay_dir(self) -> Path:
        """The folder `.assay` of the clone, made when first needed, out of both tools' sight."""
        folder = self.home / ".assay"
        if not (folder / ".dvcignore").exists():
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise explain(error, folder) from error
            write_atomic(folder / ".gitignore", _IGNORE_ALL)
            write_atomic(folder / ".dvcignore", _IGNORE_ALL)
        return folder

    @property
    def ledger_path(self) -> Path:
        """The ledger of the clone."""
        return self.assay_dir / "ledger.db"

    @property
    def traffic_dir(self) -> Path:
        """The log of predictions and truths of all endpoints."""
        return self.assay_dir / "traffic"

    @property
    def work_dir(self) -> Path:
        """A folder for what is being prepared, on the file system of the clone."""
        return self.assay_dir / "work"

    def resolve(self, path: str | Path, *, cwd: Path | None = None) -> Path:
        """Return a person's path as an absolute path inside the project.

        Links in the last part are kept. Raises `Usage` for a path outside the project.
        """
        given = (cwd or Path.cwd()) / Path(path)
        absolute = Path(os.path.normpath(given))
        if absolute != self.root and self.root not in absolute.parents:
            real = Path(os.path.realpath(absolute.parent)) / absolute.name
            if real != self.root and self.root not in real.parents:
                raise Usage(
                    "the path is outside the project",
                    where=path,
                    hint=f"only what lies in {self.root} can be tracked; copy it there",
                )
            absolute = real
        for parent in absolute.parents:
            if parent == self.root:
                break
            if parent.is_symlink():
                raise Usage(
                    f"the path goes through the link {self.relative(parent)!r}",
                    where=path,
                    hint="track what the link points to, or the link's target by its own path",
                )
        return absolute

    def relative(self, path: Path) -> str:
        """Return a path inside the project as text with `/`, relative to the root."""
        return path.relative_to(self.root).as_posix()

    def shown(self, path: Path, *, cwd: Path | None = None) -> str:
        """Return a path as a person in `cwd` would type it."""
        return os.path.relpath(path, cwd or Path.cwd())


def find(start: Path | None = None) -> Project:
    """Return the project around `start` (by default the current folder).

    Raises
    ------
    NotFound
        If there is none.
    """
    here = Path(os.path.realpath(start or Path.cwd()))
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return Project(folder)
    raise NotFound(
        "this folder is not part of a project: no '.dvc' here or above",
        where=here,
        hint="make one with 'assay init' in the root of your git repository",
    )


def init(
    folder: Path, *, force: bool = False, no_scm: bool = False, subdir: bool = False
) -> Project:
    """Make a project in the root of a git repository, as `dvc init` does, and stage its files.

    Parameters
    ----------
    force : bool
        Make what is missing in a project that exists.
    no_scm : bool
        Do without git.
    subdir : bool
        Make it in a sub-folder of a git repository.

    Raises
    ------
    Error
        If there is one already, or no git repository.
    """
    root = Path(os.path.realpath(folder))
    if no_scm and subdir:
        raise Usage(
            "'--no-scm' and '--subdir' exclude each other",
            hint="the one does without git, the other wants a sub-folder of a git repository",
        )
    if (root / ".dvc").exists() and not force:
        raise Error("there is a project here already", where=root / ".dvc", hint="go on with it")
    if not no_scm:
        _check_repository(root, subdir=subdir)
    try:
        (root / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, root) from error
    files = {".dvc/.gitignore": _DVC_GITIGNORE, ".dvc/config": "", ".dvcignore": _DVCIGNORE}
    if no_scm:
        files = {".dvc/config": _NO_SCM, ".dvcignore": _DVCIGNORE}
    for name, text in files.items():
        if not (root / name).exists():
            write_atomic(root / name, text)
    (root / ".dvc" / "tmp" / "btime").touch()
    project = Project(root)
    _ = project.assay_dir
    if project.uses_git is no_scm:  # a project that exists, now with git or without it
        project.config.set("core", "no_scm", "True" if no_scm else "False")
        project = Project(root)
    if project.uses_git:
        git.stage(project.git_root, [_in_git(project, name) for name in files])
    return project


def _check_repository(root: Path, *, subdir: bool) -> None:
    repository = git.top(root)
    if repository is None:
        raise Error(
            "this is not a git repository",
            where=root,
            hint="run 'git init' first, or do without git: 'assay init --no-scm'",
        )
    if repository != root and not subdir:
        raise Error(
            "this is not the root of the git repository",
            where=root,
            hint=f"run 'assay init' in {repository}, or have a project here with '--subdir'",
        )


def _in_git(project: Project, name: str) -> str:
    return (project.root / name).relative_to(project.git_root).as_posix()
