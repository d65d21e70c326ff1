"""The calls that the hub answers: a method and a path, and the function that answers it.

    @call("POST", "/mlflow/experiments/create")
    def create(hub: Hub, ask: CreateExperiment) -> CreatedExperiment: ...

    @write("POST", "/mlflow/runs/set-tag")
    def set_tag(hub: Hub, ask: SetTag, connection: Connection) -> None: ...

`ask` is a struct; its fields come from the path, the query (GET) or the JSON body, and are checked
by their annotations (`assay.api.mlflow.asks`). The answer is a struct or a dictionary, None for
`{}`, or a response of Starlette's. A plain function runs in a thread; a `write` runs in a
transaction that it may share with others, each kept or undone for itself; an `async def` runs in
the loop, takes the request as its third argument and reads the body itself.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    import msgspec

F = TypeVar("F", bound=Callable[..., Any])
Way = Literal["thread", "write", "loop"]

_PREFIXES: dict[str | None, tuple[str, ...]] = {
    "2.0": ("/api/2.0", "/ajax-api/2.0"),
    "3.0": ("/api/3.0", "/ajax-api/3.0"),
    None: ("",),
}


class Call:
    """One function and how it is called."""

    __slots__ = ("_ask", "function", "method", "name", "path", "prefixes", "way")

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        method: str,
        path: str,
        version: str | None,
        way: Way,
    ) -> None:
        self.function, self.method, self.path, self.way = function, method, path, way
        self.prefixes = _PREFIXES[version]
        self.name = path.lstrip("/")
        self._ask: type[msgspec.Struct] | None = None

    @property
    def ask(self) -> type[msgspec.Struct]:
        """The struct that the request is read into; looked up when it is first needed."""
        if self._ask is None:
            names = list(inspect.signature(self.function).parameters)
            self._ask = _annotation(self.function, names[1])
        return self._ask


CALLS: list[Call] = []
"""All calls of the modules that were imported so far."""


def call(method: str, path: str, *, version: str | None = "2.0") -> Callable[[F], F]:
    """Register a function that reads, or that writes by itself.

    Parameters
    ----------
    path : str
        With `{name}` for a part, and `{name:path}` for all the rest.
    version : str, optional
        Of MLflow's API: it is served below /api/VERSION and /ajax-api/VERSION; None: as it is.
    """

    def register(function: F) -> F:
        way: Way = "loop" if inspect.iscoroutinefunction(function) else "thread"
        CALLS.append(Call(function, method=method, path=path, version=version, way=way))
        return function

    return register


def write(method: str, path: str, *, version: str | None = "2.0") -> Callable[[F], F]:
    """Register a function that writes; its third argument is the connection.

    It may be called again when the database was busy, and must not write elsewhere.
    """

    def register(function: F) -> F:
        CALLS.append(Call(function, method=method, path=path, version=version, way="write"))
        return function

    return register


class Table:
    """Which call answers a method and a path."""

    def __init__(self, calls: list[Call]) -> None:
        self.fixed: dict[str, dict[str, Call]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Call]]] = {}
        for one in calls:
            for prefix in one.prefixes:
                self._add(prefix + one.path, one)

    def _add(self, path: str, one: Call) -> None:
        if "{" not in path:
            self.fixed.setdefault(path, {})[one.method] = one
            return
        known = self._patterns.get(path)
        if known is None:
            known = self._patterns[path] = (re.compile(_expression(path), re.DOTALL), {})
        known[1][one.method] = one

    def find(self, path: str) -> tuple[Mapping[str, Call], dict[str, str]] | None:
        """Return the calls of a path by method, and what its parts are; None if there are none."""
        methods = self.fixed.get(path)
        if methods is not None:
            return methods, {}
        for expression, known in self._patterns.values():
            if match := expression.fullmatch(path):
                return known, match.groupdict()
        return None


def _expression(path: str) -> str:
    """Return the regular expression of a path.

    Examples
    --------
    >>> _expression("/a/{id}/b/{rest:path}")
    '/a/(?P<id>[^/]+)/b/(?P<rest>.*)'
    """
    text = ""
    for part in re.split(r"(\{\w+(?::path)?\})", path):
        if part.startswith("{"):
            name, _, form = part[1:-1].partition(":")
            text += f"(?P<{name}>{'.*' if form else '[^/]+'})"
        else:
            text += re.escape(part)
    return text


def _annotation(function: Callable[..., Any], name: str) -> type[msgspec.Struct]:
    """Return the annotation of one argument; those of the others name what is not imported."""
    found: Any = function.__annotations__[name]
    if isinstance(found, str):
        found = eval(found, function.__globals__)  # noqa: S307 -- our own source
    return typing.cast("type[msgspec.Struct]", found)
