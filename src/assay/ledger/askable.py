"""Functions of the ledger that a hub is asked for, where the ledger is a hub's.

    @askable
    def get(ledger: Ledger, name: str) -> Run: ...

On a ledger that this process can open, `get` does what it says. Where the ledger is a
`HubLedger`, the arguments go to the hub, which calls the same function on its own ledger; what
that returns, or the error that it raises, comes back. Nothing else of a hub's ledger can be had.

Arguments and answers are MessagePack, which knows numbers that are not finite. Both sides check
them by the function's annotations, which may name only what its module has at run time.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import msgspec

from assay.base import errors
from assay.base.errors import Error, NotFound, Usage

if TYPE_CHECKING:
    from typing import Self

    from assay.ledger.database import Ledger
    from assay.ledger.hub import HubSink

F = TypeVar("F", bound=Callable[..., Any])

_DIGITS = 1  # the code of numbers above 64 bits, as MessagePack's extension
PATH = "/api/ledger/"
"""Where a hub is asked: the name of the function comes after it."""

_KINDS = ("Deleted", "Negative", "Usage", "Inconclusive", "NotFound", "Taken")
_functions: dict[str, _Askable] = {}


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An error of a function; `kind` is its class, of those that callers tell apart."""

    kind: str
    what: str
    where: str | None
    hint: str | None

    @classmethod
    def of(cls, error: Error) -> Refusal:
        """Return what is said of an error."""
        names = (one.__name__ for one in type(error).__mro__)
        kind = next((name for name in names if name in _KINDS), "Error")
        return cls(kind=kind, what=error.what, where=error.where, hint=error.hint)

    def error(self) -> Error:
        """Return the error as one of ours."""
        kind: type[Error] = Error
        if self.kind == "Deleted":
            from assay.ledger.runs import Deleted

            kind = Deleted
        elif self.kind in _KINDS:
            kind = getattr(errors, self.kind)
        return kind(self.what, where=self.where, hint=self.hint)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub answers: a value as MessagePack, or an error."""

    value: msgspec.Raw = msgspec.Raw(b"\xc0")  # nil
    refused: Refusal | None = None


class HubLedger:
    """The ledger of a hub, as far as it can be asked; it is passed where a `Ledger` is.

    Attributes
    ----------
    sink : HubSink
        The connection to the hub, which also has objects.
    name : str
        The hub's address.
    """

    is_sqlite = False

    def __init__(self, sink: HubSink) -> None:
        self.sink, self.name = sink, sink.name

    @classmethod
    def open(cls, sink: HubSink) -> Ledger:
        """Return it under the type that functions of the ledger take."""
        return cast("Ledger", cls(sink))

    def ask(self, function: _Askable, given: dict[str, Any]) -> Any:
        """Return what the hub's own function returns, or raise what it raises."""
        body = self.sink.post(f"{PATH}{function.name}", msgspec.msgpack.encode(given))
        try:
            answer = msgspec.msgpack.decode(body, type=Answer)
            if answer.refused is not None:
                raise answer.refused.error()
            return msgspec.msgpack.decode(answer.value, type=function.answer, ext_hook=_number)
        except msgspec.MsgspecError as error:
            raise Error(
                f"the hub's answer cannot be read: {error}",
                where=self.name,
                hint="see whether the hub has this version of Assay: 'curl …/version'",
            ) from error

    def read(self) -> NoReturn:
        """Refuse: no statement goes over the network."""
        raise Usage(
            "this needs a ledger that this machine can open, and here it is a hub's",
            where=self.name,
            hint="give --directory . for the project's own ledger, or 'ledger.url' in place of "
            "'hub.url'",
        )

    write = together = alone = read

    def close(self) -> None:
        """Close the connection."""
        self.sink.rest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Askable:
    """A function with the types of its arguments and of what it returns."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = f"{function.__module__.removeprefix('assay.')}.{function.__name__}"
        self._signature = inspect.signature(function)

    def given(self, ledger: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the arguments beside the ledger by their names."""
        found = self._signature.bind(ledger, *args, **kwargs).arguments
        return dict(list(found.items())[1:])

    @functools.cached_property
    def answer(self) -> Any:
        """The type of what it returns."""
        return self._type(self._signature.return_annotation)

    @functools.cached_property
    def arguments(self) -> type[msgspec.Struct]:
        """The arguments beside the ledger, as a struct."""
        fields: list[Any] = []
        for one in list(self._signature.parameters.values())[1:]:
            default = () if one.default is one.empty else (one.default,)
            fields.append((one.name, self._type(one.annotation), *default))
        return msgspec.defstruct(
            "Arguments", fields, kw_only=True, frozen=True, forbid_unknown_fields=True
        )

    def _type(self, annotation: Any) -> Any:
        names = {"Mapping": Mapping, "Sequence": Sequence} | self.function.__globals__
        return eval(annotation, names)  # noqa: S307 -- our own source


def askable(function: F) -> F:
    """Let a function that takes a ledger first be asked of a hub."""
    asked = _Askable(function)
    _functions[asked.name] = asked

    @functools.wraps(function)
    def here_or_there(ledger: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(ledger, HubLedger):
            return ledger.ask(asked, asked.given(ledger, args, kwargs))
        return function(ledger, *args, **kwargs)

    return cast("F", here_or_there)


def answer(ledger: Ledger, name: str, body: bytes) -> bytes:
    """Call a function on the hub's ledger, and return its value as MessagePack.

    Parameters
    ----------
    name : str
        Its module and its own, such as `ledger.runs.get`; the module has to be imported.

    Raises
    ------
    NotFound
        If it cannot be asked for.
    Usage
        If the arguments are not what it takes.
    """
    asked = _functions.get(name)
    if asked is None:
        raise NotFound(f"the hub has no function {name!r}", hint="it may be older than who asks")
    try:
        given = msgspec.msgpack.decode(body, type=asked.arguments)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Usage(f"the arguments of {name!r} cannot be read: {error}") from error
    arguments = {one: getattr(given, one) for one in given.__struct_fields__}
    return _packed(asked.function(ledger, **arguments))


def _packed(value: Any) -> bytes:
    """Return MessagePack; a number that it has no room for goes as its digits."""
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:
        return msgspec.msgpack.encode(_in_room(msgspec.to_builtins(value)))


def _in_room(value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(_DIGITS, str(value).encode())
    if isinstance(value, dict):
        return {key: _in_room(one) for key, one in value.items()}
    return [_in_room(one) for one in value] if isinstance(value, (list, tuple)) else value


def _number(_code: int, data: memoryview) -> int:
    return int(bytes(data))
