"""How the ledger keeps a parameter's value as text, and what it takes for a metric's number.

The text is Python's `str()`, so that `0.1` and `"0.1"` are one value, as they are in MLflow; the
type stands beside it, so that a number comes back as a number. Lists and mappings are JSON.
NumPy's scalars (anything with `item()`) count as what they hold.
"""

from __future__ import annotations

import contextlib
import json
import numbers
from collections.abc import Callable, Mapping
from typing import Any

from assay.base.errors import Error, with_article

LONGEST = 1_000_000
"""Characters of a value that is no file."""

LONGEST_PATH = 4096
"""Characters of the path of a file that a run keeps."""

Scalar = str | int | float | bool | None

_READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: text == "True",
    "null": lambda _: None,
    "json": json.loads,
}
_TYPES: dict[type, str] = {str: "str", int: "int", float: "float", bool: "bool"}


def dump(value: object, *, key: str | None = None) -> tuple[str, str]:
    """Return the text and the type of a parameter's value; `key` is what errors name it by.

    Of what is none of the types, such as an estimator, the text is kept, as MLflow does.

    Raises
    ------
    Error
        If Python makes no text of it: a number of thousands of digits, or lists nested as deep.

    Examples
    --------
    >>> dump(0.1), dump([8, 8]), dump(None)
    (('0.1', 'float'), ('[8,8]', 'json'), ('None', 'null'))
    >>> dump(slice(1, 2))
    ('slice(1, 2, None)', 'str')
    """
    try:
        return _dumped(value)
    except (ValueError, RecursionError) as error:
        named = "a parameter" if key is None else f"parameter {key!r}"
        raise Error(
            f"the value of {named} cannot be written as text: {error}",
            hint="keep it as a file: assay.log_text(...)",
        ) from error


def _dumped(value: object) -> tuple[str, str]:
    value = scalar(value)
    if value is None:
        return "None", "null"
    for kind, name in _TYPES.items():
        if type(value) is kind:
            return str(value), name
    if isinstance(value, (str, int, float)):  # a subclass, such as an enumeration's member
        plain = next(kind for kind in (str, int, float) if isinstance(value, kind))
        return _dumped(plain(value))
    if isinstance(value, (list, tuple, dict)):
        with contextlib.suppress(TypeError, ValueError):  # json keeps infinities, msgspec does not
            text = json.dumps(value, default=scalar, separators=(",", ":"), ensure_ascii=False)
            return text, "json"
    return str(value), "str"


def load(text: str, kind: str) -> Any:
    """Return the value that `dump` was given.

    Examples
    --------
    >>> load("0.1", "float"), load("[8,8]", "json")
    (0.1, [8, 8])
    """
    return _READERS[kind](text)


def number(key: str, value: object) -> float:
    """Return a metric's value as a float; not a number and the infinities are numbers here.

    Examples
    --------
    >>> number("loss", 1), number("loss", True)
    (1.0, 1.0)
    """
    held = scalar(value)
    if isinstance(held, numbers.Real):
        with contextlib.suppress(OverflowError):
            return float(held)
    raise Error(
        f"the value of metric {key!r} is {with_article(type(value).__name__)}; "
        "expected is a number",
        hint="log a number, or one metric a number: assay.log_metrics({...})",
    )


def step(key: str, value: object) -> int:
    """Return a metric's step as an integer of 64 bits; nothing given is step 0, as in MLflow."""
    held = scalar(value)
    if held is None:
        return 0
    if isinstance(held, numbers.Integral) and -(2**63) <= int(held) < 2**63:
        return int(held)
    raise Error(
        f"the step of metric {key!r} is {value!r}; expected is a whole number of 64 bits",
        hint="a moment in time goes with each point by itself; 'step' counts epochs or batches",
    )


def moment(key: str, at: object) -> int:
    """Return a moment in Unix milliseconds; a fraction of one is cut off."""
    found = scalar(at)
    if isinstance(found, (int, float)) and 0 <= found < 2**63:
        return int(found)
    raise Error(
        f"the moment of {key!r} is {at!r}; expected are milliseconds since 1970",
        hint="int(time.time() * 1000)",
    )


def check_mapping(call: str, given: Any) -> Mapping[str, object]:
    """Return what a call was given as names with values, or raise.

    Examples
    --------
    >>> check_mapping("assay.log_params()", {"lr": 0.1})
    {'lr': 0.1}
    """
    if callable(getattr(given, "items", None)) and not isinstance(given, type):
        return given  # type: ignore[no-any-return] # a data frame's row is as good
    is_namespace = hasattr(given, "__dict__") and type(given).__name__ == "Namespace"
    raise Error(
        f"{call} was given {with_article(type(given).__name__)}; expected is a mapping of names "
        "to values",
        hint="vars(args) is one" if is_namespace else "such as {'loss': 0.25}",
    )


def flatten(params: Mapping[str, object]) -> dict[str, object]:
    """Return nested parameters with dotted names, as DVC shows them.

    Raises
    ------
    Error
        If they are nested without an end.

    Examples
    --------
    >>> flatten({"train": {"lr": 0.1, "layers": [8]}, "seed": 1})
    {'train.lr': 0.1, 'train.layers': [8], 'seed': 1}
    """
    try:
        return _flattened(params, under="")
    except RecursionError as error:
        raise Error(
            "the parameters are nested too deeply, or hold themselves",
            hint="log those that matter, each under a name of its own",
        ) from error


def _flattened(params: Mapping[str, object], *, under: str) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat |= _flattened(value, under=f"{under}{key}.")
        else:
            flat[f"{under}{key}"] = value
    return flat


def check_text(kind: str, key: str, text: str) -> str:
    """Return a text that a ledger and a hub take, or raise and say of what it is the value."""
    if len(text) > LONGEST:
        raise Error(
            f"the value of {kind} {key!r} has {len(text):,} characters, more than {LONGEST:,}",
            hint="keep it as a file: assay.log_text(...)",
        )
    if "\0" in text or not is_plain(text):
        raise Error(
            f"the value of {kind} {key!r} is {text[:80]!r}, which is no text of UTF-8 that every "
            "ledger keeps",
            hint="keep it as a file, or as repr(...)",
        )
    return text


def check_key(kind: str, key: object) -> str:
    """Return a key that a ledger takes: text of UTF-8, not blank, without a null character."""
    found = key_text(kind, key)
    if "\0" in found or not is_plain(found):
        raise Error(
            f"the name of {with_article(kind)} is {found[:80]!r}, which is no plain text of UTF-8"
        )
    return found


def plain(text: str) -> str:
    r"""Return a text that any ledger keeps, in which a sign stands for what none does.

    Examples
    --------
    >>> plain("caf\udce9.txt"), plain("a\0b")
    ('caf�.txt', 'a�b')
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "�")


def is_plain(text: str) -> bool:
    """Say whether a text can be written in UTF-8; the name of a file may not be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def key_text(kind: str, key: object) -> str:
    """Return a key that is text and not blank, or raise."""
    if isinstance(key, str) and key.strip():
        return key
    raise Error(f"the name of {with_article(kind)} is {key!r}; expected is text that is not blank")


def scalar(value: Any) -> Any:
    """Return what a NumPy scalar, or an array of one element, holds."""
    if not isinstance(value, (str, int, float)) and hasattr(value, "item"):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            return value.item()
    return value


def folded(params: Mapping[str, Any], *, most: int = 12) -> dict[str, Any]:
    """Return parameters for people: a file with many of them counts as one line.

    Examples
    --------
    >>> folded({"lr": 0.1, "c.yaml:a": 1, "c.yaml:b": 2}, most=1)
    {'lr': 0.1, 'c.yaml': '2 values'}
    """
    files: dict[str, int] = {}
    for key in params:
        file, colon, _ = key.partition(":")
        if colon:
            files[file] = files.get(file, 0) + 1
    shown: dict[str, Any] = {}
    for key, value in params.items():
        file, colon, _ = key.partition(":")
        if colon and files[file] > most:
            shown[file] = f"{files[file]} values"
        else:
            shown[key] = value
    return shown
