"""`foreach` and `matrix`: which stages one template makes, and what `item` and `key` are for each.

Source: DVC 3.67's `dvc.parsing`. What is put into the stages is the business of
`assay.project.interpolate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from assay.project.grammar import At, kind_of
from assay.project.interpolate import Reference, Unresolved, references, to_text
from assay.project.variables import Origin, Variables

Origins = Mapping[tuple[str, ...], Origin]


class Member(NamedTuple):
    """A stage that a template makes: what comes after the `@` of its name, and its variables."""

    key: str
    variables: Variables


class _Located(NamedTuple):
    """A value, and which parts of it come from variables."""

    value: Any
    origins: Origins

    def elements(self) -> list[_Located]:
        """Return the elements of a list, or the values of a mapping."""
        is_map = isinstance(self.value, dict)
        steps = list(self.value) if is_map else list(map(str, range(len(self.value))))
        below: dict[Any, dict[tuple[str, ...], Origin]] = {}
        for path, origin in self.origins.items():
            if path:
                below.setdefault(path[0], {})[path[1:]] = origin
        whole = self.origins.get(())
        return [
            _Located(
                self.value[step] if is_map else self.value[n],
                ({(): whole.below(str(step))} if whole else {}) | below.get(step, {}),
            )
            for n, step in enumerate(steps)
        ]

    def name(self) -> str:
        """Return the value in the name of a stage: DVC writes `True` for one from a variable."""
        return str(self.value) if () in self.origins else to_text(self.value)


def foreach(data: Any, variables: Variables, *, at: At) -> Iterator[Member]:
    """Go through the stages of a `foreach`; of equal names the last one counts.

    Raises
    ------
    Unresolved
        If its data is neither a list nor a mapping.
    """
    found = _locate(data, variables, tuple(at))
    if isinstance(found.value, dict):
        from_variable = () in found.origins  # which has no keys but text
        for key, item in zip(found.value, found.elements(), strict=True):
            if isinstance(key, str) or not from_variable:
                name = to_text(key)
                yield Member(name, variables.bind(item=item, key=(name, {})))
        return
    if not isinstance(found.value, list):
        raise Unresolved(
            f"'foreach' is {kind_of(found.value)}, not a list or a mapping",
            at=at,
            hint="write 'foreach: [a, b]', or name a list: 'foreach: ${models}'",
        )
    elements = found.elements()
    by_place = any(isinstance(item, (list, dict)) for item in found.value)
    named = {(str(n) if by_place else one.name()): one for n, one in enumerate(elements)}
    for key, item in named.items():
        yield Member(key, variables.bind(item=item))


def matrix(data: Mapping[str, Any], variables: Variables, *, at: At) -> Iterator[Member]:
    """Go through the stages of a `matrix`, the last key fastest; of equal names the last counts.

    Raises
    ------
    Unresolved
        If a value of it is not a list.
    """
    if not data:
        raise Unresolved("'matrix' is empty", at=at, hint="write 'matrix: {model: [a, b]}'")
    axes = [_axis(key, values, variables, (*at, key)) for key, values in data.items()]
    found: dict[str, dict[str, _Located]] = {}
    for combination in product(*axes):
        name = "-".join(fragment for fragment, _ in combination)
        found[name] = dict(zip(data, (item for _, item in combination), strict=True))
    for name, items in found.items():
        origins = {
            (key, *path): origin
            for key, item in items.items()
            for path, origin in item.origins.items()
        }
        values = {key: item.value for key, item in items.items()}
        yield Member(name, variables.bind(item=(values, origins), key=(name, {})))


def _axis(
    key: str, values: Any, variables: Variables, at: tuple[Any, ...]
) -> list[tuple[str, _Located]]:
    """Return the values of one key of a matrix, each with its part of the name."""
    found = _locate(values, variables, at)
    if isinstance(found.value, dict):
        return [(name, _Located(name, {})) for name in found.value if isinstance(name, str)]
    if not isinstance(found.value, list):
        raise Unresolved(
            f"'{key}' of 'matrix' is {kind_of(found.value)}, not a list",
            at=at,
            hint="write its values as a list, or name one: '${models}'",
        )
    return [
        (f"{key}{n}" if isinstance(item.value, (list, dict)) else item.name(), item)
        for n, item in enumerate(found.elements())
    ]


def _locate(data: Any, variables: Variables, at: tuple[Any, ...]) -> _Located:
    """Put in the variables of the data of a template, and keep where each comes from."""
    origins: dict[tuple[str, ...], Origin] = {}

    def put_in(value: Any, at: tuple[Any, ...], path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            keys = {key: put_in(key, (*at, key), (*path, "")) for key in value}
            return {
                keys[key]: put_in(item, (*at, key), (*path, keys[key]))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [put_in(item, (*at, n), (*path, str(n))) for n, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        pieces = references(value, at)
        if len(pieces) > 1 or isinstance(pieces[0], str):
            return "".join(_within(piece, variables) for piece in pieces)
        only = pieces[0]
        only.value(variables)  # raises with the nearest name where there is none
        found, located = variables.locate(only.parts)
        origins.update({(*path, *below): origin for below, origin in located.items()})
        return found

    return _Located(put_in(data, at, ()), origins)


def _within(piece: str | Reference, variables: Variables) -> str:
    if isinstance(piece, str):
        return piece
    value = piece.value(variables)
    if isinstance(value, (list, dict, set)):
        raise piece.fail(value, "which cannot stand in text", hint="name one of its elements")
    return to_text(value)
