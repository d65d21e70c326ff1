"""The functions of Hydra's overrides: casts, sweeps over several values, and their order.

Source: Hydra 1.3, `grammar_functions.py`. A sweep is what a queue makes several experiments of.
"""

from __future__ import annotations

import decimal
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from assay.base.errors import Usage

_NAMES = "bool, choice, float, int, range, shuffle, sort, str, tag"


class Quoted(NamedTuple):
    """A text in quotes: it is one, whatever it looks like."""

    text: str


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """Several values, one for each experiment.

    Attributes
    ----------
    is_range : bool
        Whether it came from `range()`, which can be cast to numbers only.
    is_simple : bool
        Whether it was given as `a,b`, without `choice()`.
    """

    values: tuple[Any, ...]
    is_range: bool = False
    is_simple: bool = False


def plain(value: Any) -> Any:
    """Return a value without the quotes of its texts."""
    if isinstance(value, Quoted):
        return value.text
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def choice_of(values: Sequence[Any], *, is_simple: bool = False) -> Sweep:
    """Return the sweep over values.

    Raises
    ------
    Usage
        If one of them is a sweep itself.
    """
    if any(isinstance(value, Sweep) for value in values):
        raise Usage(
            "a sweep cannot stand inside another one",
            where="--set-param",
            hint="list all values in one 'choice(...)'",
        )
    return Sweep(values=tuple(plain(value) for value in values), is_simple=is_simple)


def call(name: str, args: list[Any], named: dict[str, Any]) -> Any:
    """Return what a function makes of its arguments.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not fit.
    Usage
        If there is no such function, or it cannot be used for experiments.
    """
    if name in {"interval", "glob"}:
        raise Usage(
            f"'{name}()' names no list of values to try",
            where="--set-param",
            hint="list them: 'choice(0.1, 0.2)' or 'range(1, 5)'",
        )
    if name not in _FUNCTIONS:
        raise Usage(
            f"there is no function '{name}' in overrides",
            where="--set-param",
            hint=f"there are {_NAMES}; quote a text with brackets: 'name=\"f(x)\"'",
        )
    given = [arg.text if isinstance(arg, Quoted) else arg for arg in args]
    return _FUNCTIONS[name](
        *given,
        **{key: v.text if isinstance(v, Quoted) else v for key, v in named.items()},
    )


def _cast(one: Callable[[Any], Any], *, to_number: bool) -> Callable[..., Any]:
    def cast(*args: Any, value: Any = None) -> Any:
        if args and value is not None:
            raise TypeError("it takes arguments either by their place or by name")
        if not args and value is None:
            raise TypeError("it takes a value")
        if len(args) > 1:
            return each(choice_of(args, is_simple=True))
        return each(args[0] if args else value)

    def each(value: Any) -> Any:
        if isinstance(value, Quoted):
            return one(value.text)
        if isinstance(value, list):
            return [each(item) for item in value]
        if isinstance(value, dict):
            return {plain(key): each(item) for key, item in value.items()}
        if isinstance(value, Sweep):
            if value.is_range and not to_number:
                raise ValueError("a range can be cast to 'int' or 'float' only")
            return msgspec.structs.replace(value, values=tuple(each(v) for v in value.values))
        if value is None:
            raise TypeError("null cannot be cast")
        return one(value)

    return cast


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, str):
        return bool(value)
    if value.lower() not in {"true", "false"}:
        raise ValueError(f"'{value}' is neither true nor false")
    return value.lower() == "true"


def _choice(*args: Any) -> Sweep:
    if not args:
        raise ValueError("it takes at least one value")
    if len(args) == 1 and isinstance(args[0], Sweep):
        if not args[0].is_simple:
            raise ValueError("a choice cannot stand inside another one")
        return msgspec.structs.replace(args[0], is_simple=False)
    return choice_of(args)


def _range(start: Any, stop: Any = None, step: Any = 1) -> Sweep:
    if stop is None:
        start, stop = 0, start
    given = (start, stop, step)
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in given):
        raise TypeError("it takes numbers: 'range(1, 5)'")
    if step == 0:
        raise ValueError("the step is 0")
    if all(isinstance(n, int) for n in (start, stop, step)):
        return Sweep(values=tuple(range(start, stop, step)), is_range=True)
    return Sweep(values=tuple(_floats(start, stop, step)), is_range=True)


def _floats(start: float, stop: float, step: float) -> Iterator[float]:
    """Go from start to stop in exact steps: 0.1 added ten times gives 1, as in Hydra."""
    current, end, by = (decimal.Decimal(n) for n in (start, stop, step))
    while current < end if by > 0 else current > end:
        yield float(current)
        current += by


def _tag(*args: Any, sweep: Any = None) -> Sweep:
    """Return the sweep; its tags mean nothing here."""
    last = sweep if sweep is not None else (args[-1] if args else None)
    if not isinstance(last, Sweep):
        raise TypeError("its last argument is a sweep")
    return last


def _sort(*args: Any, sweep: Any = None, list: Any = None, reverse: bool = False) -> Any:  # noqa: A002 -- Hydra's name
    value = list if list is not None else sweep if sweep is not None else None
    if value is None:
        if not args:
            raise ValueError("it takes something to sort")
        value = args[0] if len(args) == 1 else choice_of(args, is_simple=True)
    if isinstance(value, Sweep):
        ordered = tuple(sorted(value.values, reverse=reverse))
        return msgspec.structs.replace(value, values=ordered)
    if isinstance(value, _LIST):
        return sorted((plain(item) for item in value), reverse=reverse)
    return value


def _shuffle(*args: Any, sweep: Any = None, list: Any = None) -> Any:  # noqa: A002 -- Hydra's name
    value = list if list is not None else sweep if sweep is not None else None
    if value is None:
        value = args[0] if len(args) == 1 else choice_of(args, is_simple=True)
    if isinstance(value, Sweep):
        mixed = random.sample(value.values, len(value.values))
        return msgspec.structs.replace(value, values=tuple(mixed))
    if isinstance(value, _LIST):
        return random.sample(value, len(value))
    return [value]


_LIST = list
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": _cast(int, to_number=True),
    "float": _cast(float, to_number=True),
    "str": _cast(_text, to_number=False),
    "bool": _cast(_truth, to_number=False),
    "choice": _choice,
    "range": _range,
    "tag": _tag,
    "sort": _sort,
    "shuffle": _shuffle,
}
