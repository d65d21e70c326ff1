"""The variables that `${}` in `dvc.yaml` can name, and from which file each one comes.

First comes `params.yaml` beside the file, then what `vars` lists, in its order; mappings are
merged, everything else may be set once. Source: DVC 3.67's `dvc.parsing.context`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from assay.base.errors import did_you_mean
from assay.project import params
from assay.project.grammar import Source, kind_of

DEFAULT = "params.yaml"
MAX_NAMES = 2000  # that a wrong name is compared with

Read = Callable[[Path], Source | None]
"""Returns the text of a file by its absolute path, or None where there is none."""


class Missing(Exception):
    """There is no such variable."""


class BadVariables(Exception):
    """An entry of `vars` that cannot be taken."""

    def __init__(self, problem: str, *, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem, self.hint = problem, hint


class Origin(NamedTuple):
    """Where a variable was set: the file or entry of `vars`, and its path in there."""

    label: str
    is_file: bool
    path: tuple[str, ...]

    def below(self, *steps: str) -> Origin:
        """Return the origin of an element."""
        return Origin(self.label, self.is_file, (*self.path, *steps))


class Files:
    """The files that variables come from, each parsed once."""

    def __init__(self, read: Read, root: Path) -> None:
        self.root = root
        self._read = read
        self._data: dict[Path, Any] = {}

    def data(self, path: Path) -> Any:
        """Return what a file says, an empty mapping for an empty file, None for no file.

        Raises
        ------
        Invalid
            If it does not parse; with its line.
        """
        if path not in self._data:
            source = self._read(path)
            self._data[path] = (
                None
                if source is None
                else params.parse(
                    source.text.removeprefix("\ufeff"), suffix=path.suffix, where=source.shown
                )
                or {}
            )
        return self._data[path]

    def shown(self, path: Path) -> str:
        """Return how a file is named: relative to the root of the project."""
        return os.path.relpath(path, self.root).replace(os.sep, "/")


class Variables:
    """Values by name, where each comes from, and what was asked for.

    Never changed but for what is noted in `used`: what adds to it returns another one.

    Attributes
    ----------
    used : dict
        The variables of files that were selected: value by dotted path by file.
    """

    __slots__ = ("_loaded", "_origins", "_reserved", "_values", "used")

    def __init__(
        self,
        values: dict[str, Any] | None = None,
        origins: dict[tuple[str, ...], Origin] | None = None,
        *,
        loaded: Mapping[Path, tuple[str, ...] | None] | None = None,
        reserved: tuple[str, ...] = (),
    ) -> None:
        self._values = values or {}
        self._origins = origins or {}
        self._loaded = loaded or {}
        self._reserved = reserved
        self.used: dict[str, dict[str, Any]] = {}

    def fresh(self) -> Variables:
        """Return the same variables, none of them used yet."""
        return Variables(
            self._values, self._origins, loaded=self._loaded, reserved=self._reserved
        )  # fmt: skip

    def names(self) -> Iterator[str]:
        """Go through the dotted names that there are, the outer ones first; of many not all."""
        todo: list[tuple[str, Any]] = [("", self._values)]
        n_left = MAX_NAMES
        for prefix, value in todo:
            for key, inner in value.items():
                if isinstance(key, str) and n_left:
                    n_left -= 1
                    yield f"{prefix}{key}"
                    if isinstance(inner, dict):
                        todo.append((f"{prefix}{key}.", inner))

    def select(self, parts: Sequence[str]) -> Any:
        """Return the value that a path of names and positions leads to, and note that it is used.

        Raises
        ------
        Missing
            If there is none.
        """
        value, path = self._walk(parts)
        if type(value) is not dict:  # a whole mapping is not noted, as DVC does
            origin = self.origin(path)
            if origin is not None and origin.is_file:
                self.used.setdefault(origin.label, {})[".".join(origin.path)] = value
        return value

    def locate(self, parts: Sequence[str]) -> tuple[Any, dict[tuple[str, ...], Origin]]:
        """Return a value, and where it and its elements come from."""
        value, path = self._walk(parts)
        n = len(path)
        below = {p[n:]: o for p, o in self._origins.items() if len(p) > n and p[:n] == path}
        origin = self.origin(path)
        return value, ({} if origin is None else {(): origin}) | below

    def _walk(self, parts: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
        value: Any = self._values
        path: list[str] = []
        for part in parts:
            if type(value) is dict and part in value:
                value = value[part]
                path.append(part)
            elif type(value) is list:
                value, place = _element(value, part)
                path.append(place)
            else:
                raise Missing
        return value, tuple(path)

    def origin(self, path: tuple[str, ...]) -> Origin | None:
        """Return where the value at a path was set."""
        for n in range(len(path), -1, -1):
            origin = self._origins.get(path[:n])
            if origin is not None:
                return origin.below(*path[n:])
        return None

    def bind(self, **bound: tuple[Any, Mapping[tuple[str, ...], Origin]]) -> Variables:
        """Return these and `item`, `key`, whatever they were before; no `vars` may set them."""
        values = self._values | {name: value for name, (value, _) in bound.items()}
        origins = dict(self._origins)
        if not bound.keys().isdisjoint(self._values):
            origins = {path: o for path, o in origins.items() if path[0] not in bound}
        for name, (_, inner) in bound.items():
            origins.update({(name, *path): origin for path, origin in inner.items()})
        return Variables(values, origins, loaded=self._loaded, reserved=tuple(bound))

    def add(self, data: Mapping[Any, Any], *, label: str, is_file: bool) -> Variables:
        """Return these and others; mappings are merged, any other name must be new.

        Raises
        ------
        BadVariables
            If a name is set already.
        """
        values, origins = self._with(data, label, is_file=is_file)
        return Variables(values, origins, loaded=self._loaded, reserved=self._reserved)

    def _with(
        self, data: Mapping[Any, Any], label: str, *, is_file: bool
    ) -> tuple[dict[str, Any], dict[tuple[str, ...], Origin]]:
        for name in self._reserved:
            if name in data:
                raise BadVariables(
                    f"'{label}' sets '{name}', which 'foreach' and 'matrix' set themselves",
                    hint="give it another name",
                )
        origins = dict(self._origins)
        return self._merge(self._values, data, (), (label, is_file, origins)), origins

    def _merge(
        self,
        into: dict[Any, Any],
        data: Mapping[Any, Any],
        at: tuple[str, ...],
        how: tuple[str, bool, dict[tuple[str, ...], Origin]],
    ) -> dict[Any, Any]:
        label, is_file, origins = how
        merged = dict(into)
        for key, value in data.items():
            if not isinstance(key, str):
                continue  # no `${}` can name it
            path = (*at, key)
            if key not in into:
                merged[key] = value
                origins[path] = Origin(label, is_file, path)
            elif isinstance(into[key], dict) and isinstance(value, dict):
                merged[key] = self._merge(into[key], value, path, how)
            else:
                before = self.origin(path)
                raise BadVariables(
                    f"'{label}' sets '{'.'.join(path)}', which is set already"
                    + (f" in '{before.label}'" if before else ""),
                    hint="give one of them another name; only mappings are merged",
                )
        return merged

    def load(self, item: str, *, folder: Path, files: Files) -> Variables:
        """Return these and those of an entry of `vars`: `FILE`, or `FILE:KEY,KEY`.

        Raises
        ------
        BadVariables
            If the file is not there or no mapping, lacks a key, or was taken before.
        """
        name, _, asked = item.partition(":")
        keys = tuple(filter(None, asked.split(",")))
        path = Path(os.path.normpath(folder / name))
        if path in self._loaded:
            before = self._loaded[path]
            if not keys and before is None:
                return self
            _refuse_again(item, keys, before)
        data = _mapping(files, path)
        for key in keys:
            if key not in data:
                raise BadVariables(
                    f"'{name}' has no '{key}' at its top level",
                    hint=did_you_mean(key, [str(k) for k in data]) or f"see '{name}'",
                )
        chosen = {key: data[key] for key in keys} if keys else data
        values, origins = self._with(chosen, files.shown(path), is_file=True)
        taken = (*(self._loaded.get(path) or ()), *keys) if keys else None
        loaded = {**self._loaded, path: taken}
        return Variables(values, origins, loaded=loaded, reserved=self._reserved)


def _element(value: list[Any], part: str) -> tuple[Any, str]:
    try:
        position = int(part)
        return value[position], str(position % len(value))
    except (ValueError, IndexError):
        raise Missing from None


def _refuse_again(item: str, keys: tuple[str, ...], before: tuple[str, ...] | None) -> None:
    if before is None:
        raise BadVariables(
            f"'{item}' asks for a part of a file that is there as a whole",
            hint="take the entry out: params.yaml beside dvc.yaml is always there",
        )
    if not keys or set(keys) & set(before):
        raise BadVariables(
            f"'{item}' asks again for what was taken from this file already",
            hint="name the file once, with all keys or with none",
        )


def _mapping(files: Files, path: Path) -> dict[Any, Any]:
    data = files.data(path)
    if data is None:
        raise BadVariables(
            f"the file '{files.shown(path)}' does not exist",
            hint="its path is relative to the folder of dvc.yaml, in a stage to its 'wdir'",
        )
    if not isinstance(data, dict):
        raise BadVariables(
            f"the file '{files.shown(path)}' is {kind_of(data)}, not a mapping",
            hint="variables have names: make it 'name: ...'",
        )
    return data
