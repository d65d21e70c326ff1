"""What a request asks, read from its query, its path and its JSON into a struct.

The rules are those of protobuf's JSON as MLflow's server reads it (`../shared/specs/mlflow.md`,
1 and 2): a 64-bit number may be a text of digits, a double may be `"NaN"`, an enumeration may be
a number, a field may be spelled in camelCase, null is as good as nothing. What does not fit is
refused, where MLflow's own server stores a zero.

Most requests are as the client sends them, and are decoded at once; only what fails so, or has a
camelCase key, is looked at field by field.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from assay.api.mlflow.errors import Refused, invalid, lacks

T = TypeVar("T", bound=msgspec.Struct)

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Id = Annotated[str, Meta(extra={"takes_numbers": True})]
"""A text of digits, such as an experiment's id; a number is taken, too."""

_NUMBER = re.compile(r"[0-9]{1,9}")  # of a name
_RUN = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
RunStatus = Annotated[
    Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"],
    Meta(extra={"names": dict(enumerate(_RUN, 1))}),
]
_VIEW = ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
ViewType = Annotated[
    Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"], Meta(extra={"names": dict(enumerate(_VIEW, 1))})
]


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag or a parameter, asked for or answered; all of MLflow's have this form."""

    key: str
    value: str = ""


def needs(ask: msgspec.Struct, *fields: str) -> None:
    """Refuse an empty text where there has to be one, as MLflow's server does."""
    for field in fields:
        if getattr(ask, field) == "":
            raise lacks(field)


def pairs(texts: Mapping[str, str]) -> list[Tag]:
    """Return texts by key as MLflow has them."""
    return [Tag(key=key, value=value) for key, value in texts.items()]


def from_json(kind: type[T], body: bytes, *, path: Mapping[str, str]) -> T:
    """Return what a body of JSON asks; the fields of the path are above those of the body.

    Raises
    ------
    Refused
        If the body is not JSON, or a field is missing or does not fit.
    """
    plan = _plan(kind)
    if not path and not any(spelling in body for spelling in plan.camels):
        try:
            found: T = plan.decoder.decode(body)
            return plan.whole(found)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the slow way knows more forms, or finds what is wrong
    document = _document(body)
    return _fit(kind, {**document, **path})


def from_query(kind: type[T], query: Mapping[str, list[str]], *, path: Mapping[str, str]) -> T:
    """Return what a query asks; a field that is a list may be named several times."""
    lists = _plan(kind).lists
    fields = {name: value if _snake(name) in lists else value[0] for name, value in query.items()}
    return _fit(kind, {**fields, **path})


def number(value: float) -> float | str:
    """Return a double as JSON has it: not-a-number and the infinities are texts.

    Examples
    --------
    >>> number(1.5), number(float("-inf"))
    (1.5, '-Infinity')
    """
    if value - value == 0:  # the quickest way to see that it is finite
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 -- true for NaN alone


class _Plan:
    """How a struct is read."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind, strict=False)
        info = msgspec.inspect.type_info(kind)
        if not isinstance(info, msgspec.inspect.StructType):
            raise TypeError(f"{kind} is no struct")
        self.info = info
        self.names = [field.encode_name for field in info.fields]
        self.needed = [
            one.encode_name
            for one in info.fields
            if one.required and isinstance(one.type, msgspec.inspect.StrType)
        ]
        self.lists = {one.encode_name for one in info.fields if _is_list(one.type)}
        inner = {_camel(name) for name in _all_names(info)}
        self.camels = [f'"{name}"'.encode() for name in sorted(inner)]

    def whole(self, ask: T) -> T:
        """Return an ask whose required texts are not empty; an empty one counts as missing."""
        for name in self.needed:
            if not getattr(ask, name):
                raise lacks(name)
        return ask


@functools.cache
def _plan(kind: type[msgspec.Struct]) -> _Plan:
    return _Plan(kind)


def _document(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        found = msgspec.json.decode(body)
        if isinstance(found, str):  # JSON in JSON: some clients encode twice
            found = msgspec.json.decode(found)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The request's body is not JSON: {error}") from None
    except RecursionError:
        raise invalid("The request's body is JSON nested too deep") from None
    if not isinstance(found, dict):
        name = type(found).__name__
        raise invalid(f"The request's body is JSON, but a {name}; expected is an object")
    return found


def _fit(kind: type[T], fields: Mapping[str, Any]) -> T:
    plan = _plan(kind)
    given = dict(fields)
    if "run_id" in plan.names and "run_id" not in given and "runId" not in given:
        given["run_id"] = given.get("run_uuid") or given.get("runUuid")
    tidy = _tidy(plan.info, given)
    for field in plan.info.fields:
        if field.required and field.encode_name not in tidy:
            raise lacks(field.encode_name)
    try:
        return plan.whole(msgspec.convert(tidy, kind, strict=False))
    except msgspec.ValidationError as error:
        raise _explained(error, tidy) from None


def _tidy(info: Any, value: Any) -> Any:
    """Return a document with the names and forms that msgspec knows; what is wrong stays."""
    match info:
        case msgspec.inspect.StructType() if isinstance(value, Mapping):
            return _tidy_fields(info, value)
        case msgspec.inspect.ListType() if isinstance(value, list):
            return [_tidy(info.item_type, one) for one in value]
        case msgspec.inspect.UnionType():
            return _tidy(_something(info), value)
        case msgspec.inspect.Metadata(extra=extra, type=inner):
            names = (extra or {}).get("names")
            if names and isinstance(value, int):
                return names.get(value, value)
            if names and isinstance(value, str) and _NUMBER.fullmatch(value):
                return names.get(int(value), value)
            is_number = isinstance(value, int) and not isinstance(value, bool)
            if is_number and (extra or {}).get("takes_numbers"):
                return str(value)
            return _tidy(inner, value)
        case msgspec.inspect.FloatType() if isinstance(value, bool):
            return float(value)
    return value


def _tidy_fields(info: msgspec.inspect.StructType, value: Mapping[str, Any]) -> dict[str, Any]:
    tidy: dict[str, Any] = {}
    for field in info.fields:
        name = field.encode_name
        spellings = [
            one for one in dict.fromkeys((name, _camel(name))) if value.get(one) is not None
        ]
        if len(spellings) > 1:
            raise invalid(f"The field '{name}' is given twice, also as '{spellings[1]}'")
        if spellings:
            tidy[name] = _tidy(field.type, value[spellings[0]])
    return tidy


def _explained(error: msgspec.ValidationError, document: Mapping[str, Any]) -> Refused:
    """Return the error of a field, with its name and what was sent."""
    reason, _, place = str(error).partition(" - at `$.")
    place = place.removesuffix("`")
    if match := re.fullmatch(r"Object missing required field `(\w+)`", reason):
        return lacks(f"{place}.{match[1]}" if place else match[1])
    value: Any = document
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", place):
        value = value[int(index)] if index else value[name]
    shown = msgspec.json.encode(value).decode()
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    return invalid(f"Invalid value {shown} for parameter '{place}' supplied: {reason}")


def _something(info: msgspec.inspect.UnionType) -> Any:
    """Return the type of a union that is not null."""
    return next(one for one in info.types if not isinstance(one, msgspec.inspect.NoneType))


def _is_list(info: Any) -> bool:
    if isinstance(info, msgspec.inspect.UnionType):
        info = _something(info)
    return isinstance(info, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType))


def _all_names(info: Any) -> set[str]:
    """Return the names of fields, at any depth, that camelCase spells in another way."""
    match info:
        case msgspec.inspect.StructType(fields=fields):
            own = {one.encode_name for one in fields if "_" in one.encode_name}
            return own.union(*(_all_names(one.type) for one in fields))
        case (
            msgspec.inspect.ListType(item_type=inner)
            | msgspec.inspect.VarTupleType(item_type=inner)
        ):
            return _all_names(inner)
        case msgspec.inspect.UnionType():
            return _all_names(_something(info))
        case _:
            return set()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)
