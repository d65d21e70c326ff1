"""The one model of a stage, whether it stands in a `dvc.yaml` or is a `.dvc` file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from assay.objects.cache import DIR

OutKind = Literal["out", "metric", "plot"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an output as a versioned remote has it.

    Attributes
    ----------
    relpath : str
        Within the output; empty where that is a file.
    remote, etag, version_id : str or None
        The remote that has it, and what that calls it; None where it was not pushed yet.
    """

    relpath: str
    oid: str
    size: int | None = None
    remote: str | None = None
    etag: str | None = None
    version_id: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A path with the content it had, as a `dvc.lock` or `.dvc` file records it.

    Attributes
    ----------
    path : str
        As written, relative to the stage's `wdir`.
    oid : str or None
        MD5, with `.dir` for a directory, or the oid of an object of DVC 2; None where it is not
        recorded.
    size, n_files : int or None
        Bytes; number of files of a directory.
    versions : tuple of Version
        Its files on a versioned remote: all of a directory's, or the one.
    """

    path: str
    oid: str | None = None
    size: int | None = None
    n_files: int | None = None
    is_executable: bool = False
    versions: tuple[Version, ...] = ()

    @property
    def is_directory(self) -> bool:
        """Whether the recorded content is a directory."""
        return self.oid is not None and self.oid.endswith(DIR)


class Out(msgspec.Struct, frozen=True, kw_only=True):
    """An output as it is declared."""

    path: str
    kind: OutKind = "out"
    cache: bool = True
    persist: bool = False
    push: bool = True
    remote: str | None = None
    properties: dict[str, Any] = {}


class ParamsDep(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters that a stage depends on; no keys means the whole file."""

    file: str
    keys: tuple[str, ...] = ()


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A command with its dependencies, parameters and outputs; or tracked data, without a command.

    Attributes
    ----------
    address : str
        How a person names it: `train`, `sub/dvc.yaml:train`, `data.csv.dvc`.
    file : Path
        The file it stands in.
    wdir : Path
        Where its command runs and what its paths are relative to; absolute.
    recorded : dict
        What a `.dvc` file records of its outputs, by path; empty for a stage of a `dvc.yaml`,
        whose record is the lock.
    group : str or None
        The name of the `foreach` or `matrix` that made it.
    at : tuple of str
        The keys that lead to it in its file; to the template, where one made it.
    used : dict
        The variables of files that its `${}` name: value by dotted name, by file relative to the
        root of the project.
    """

    name: str
    address: str
    file: Path
    wdir: Path
    cmd: str | list[str] | None = None
    deps: tuple[str, ...] = ()
    params: tuple[ParamsDep, ...] = ()
    outs: tuple[Out, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    desc: str | None = None
    meta: Any = None
    recorded: dict[str, Row] = {}
    is_import: bool = False
    group: str | None = None
    at: tuple[str, ...] = ()
    used: dict[str, dict[str, Any]] = {}

    @property
    def is_data(self) -> bool:
        """Whether this is a `.dvc` file."""
        return self.file.suffix == ".dvc"

    def path(self, written: str) -> Path:
        """Return one of the stage's paths as an absolute path."""
        return Path(os.path.normpath(os.path.join(self.wdir, written)))  # noqa: PTH118 -- of many

    def place(self, root: Path, *below: str | int) -> str:
        """Return where the stage, or something in it, stands now: `dvc.yaml:12`.

        Parameters
        ----------
        root : Path
            The folder that the place is shown relative to.
        below : str or int
            Keys and positions within the stage, such as `"outs", 0`.
        """
        from assay.project import yaml12

        shown = self.file.relative_to(root).as_posix()
        if self.is_data:
            return shown
        try:
            line = yaml12.line_of(self.file.read_text(encoding="utf-8"), [*self.at, *below])
        except (OSError, UnicodeDecodeError):
            line = None
        return f"{shown}:{line}" if line else shown
