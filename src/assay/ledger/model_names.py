"""What a model, an alias and a version may be called, and which version a person means.

MLflow's clients may give a model any name without '/' and ':'; our own commands make none with
'@', so that `MODEL@ALIAS` has one meaning. Where a client made `a@b` all the same, `a@b/3` and
`a@b@ALIAS` still do.
"""

from __future__ import annotations

import posixpath
import re

import msgspec

from assay.base.errors import Error, NotFound, Taken

STAGES = ("None", "Staging", "Production", "Archived")
"""MLflow's stages of a version."""

_LONGEST = 2**31


class NoModel(NotFound):
    """There is no model of a name."""

    def __init__(self, model: str, *, hint: str) -> None:
        super().__init__(f"there is no model {model!r}", hint=hint)
        self.model = model


class NoVersion(NotFound):
    """A model has no version of a number, or none at all."""

    def __init__(self, model: str, number: int | None, *, newest: int | None = None) -> None:
        if newest is None:
            super().__init__(f"the model {model!r} has no version")
        else:
            super().__init__(
                f"the model {model!r} has no such version", hint=f"its newest one is {newest}"
            )
        self.model, self.number = model, number


class NoAlias(NotFound):
    """A model has no alias of a name."""

    def __init__(self, model: str, alias: str, *, hint: str) -> None:
        super().__init__(f"the model {model!r} has no alias {alias!r}", hint=hint)
        self.model, self.alias = model, alias


class ModelTaken(Taken):
    """There is a model of a name that has to be new."""

    def __init__(self, model: str, *, hint: str | None = None) -> None:
        super().__init__(f"there is a model {model!r} already", hint=hint)
        self.model = model


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """One way to read what a person wrote: a model, and maybe a number or an alias of it."""

    model: str
    number: int | None = None
    alias: str | None = None


def meanings(name: str) -> list[Meaning]:
    """Return the ways to read a name, as far as its letters say; mostly there is one.

    Examples
    --------
    >>> [(one.model, one.number, one.alias) for one in meanings("bikes@live")]
    [('bikes@live', None, None), ('bikes', None, 'live')]
    >>> [(one.model, one.number, one.alias) for one in meanings("bikes@v3")]
    [('bikes@v3', None, None), ('bikes', None, 'v3'), ('bikes', 3, None)]
    >>> [(one.model, one.number) for one in meanings("bikes/3")]
    [('bikes', 3)]
    """
    model, slash, number = name.rpartition("/")
    if slash:
        is_one = re.fullmatch(r"v?\d{1,10}", number) and _can_be_named(model)
        digits = int(number.removeprefix("v")) if is_one else _LONGEST
        return [Meaning(model=model, number=digits)] if digits < _LONGEST else []
    if not _can_be_named(name):
        return []
    found = [Meaning(model=name)]
    model, at, rest = name.rpartition("@")
    if at and _can_be_named(model) and re.fullmatch(r"[\w-]+", rest):
        found.append(Meaning(model=model, alias=rest))
        if re.fullmatch(r"v?\d{1,10}", rest) and int(rest.removeprefix("v")) < _LONGEST:
            found.append(Meaning(model=model, number=int(rest.removeprefix("v"))))
    return found


def _can_be_named(name: str) -> bool:
    """Tell whether a model may have a name, for MLflow: its own normalised path, of one part.

    Examples
    --------
    >>> [name for name in ("a", "a@b", "", " ", "..", "a/b", "a:b") if _can_be_named(name)]
    ['a', 'a@b']
    """
    return bool(name.strip()) and not re.search("[/:]", name) and is_own_path(name)


def is_own_path(name: str) -> bool:
    """Tell whether a name, taken for a path, is that path in its shortest form, and climbs not.

    Examples
    --------
    >>> [name for name in ("a", "a/b", ".", "a//b", "a/", "/a", "..a") if is_own_path(name)]
    ['a', 'a/b']
    """
    normal = posixpath.normpath(name)
    return normal == name and normal != "." and not normal.startswith(("..", "/"))


def check_model(name: str, *, with_at: bool = False) -> None:
    """Refuse a name that no model may have, or that our own commands give to none.

    Parameters
    ----------
    with_at : bool
        Whether '@' may be in it: MLflow's clients may have it, our own commands make none.
    """
    if not _can_be_named(name) or ("@" in name and not with_at):
        raise Error(
            f"{name!r} cannot be the name of a model",
            hint="use a name that is not blank and has no '/', ':' or '@'",
        )


def check_alias(alias: str) -> None:
    """Refuse an alias that could be taken for a version."""
    if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"(?i)latest|v?\d+", alias):
        raise Error(
            f"{alias!r} cannot be an alias",
            hint="use letters, digits, '-' and '_', such as 'production'; 'latest' and numbers "
            "such as 'v3' stand for versions already",
        )
