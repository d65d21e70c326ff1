"""The kinds of model that a bundle can hold; each is a module with the functions of `Flavour`.

A flavour reads a file only after it has looked into it: no file may run code, or make compiled
code follow an index out of its array.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import msgspec

from assay.base.errors import Error, with_article

if TYPE_CHECKING:
    from assay.bundle.signature import Output, Values

_MODULES = {"sklearn": "assay.bundle.flavours.sklearn"}


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What a flavour knows of a model.

    Attributes
    ----------
    type : str
        Its class, with the module.
    packages : tuple of str
        The distributions that it needs to be what it was.
    """

    type: str
    input: Literal["array", "dataframe"]
    packages: tuple[str, ...]
    task: Literal["regression", "classification"]


class Flavour(Protocol):
    """What a kind of model has to offer."""

    FILE: str

    def describe(self, model: Any, *, columns: tuple[str, ...]) -> Described:
        """Return what is to be known of a fitted model; raise where the columns do not fit."""

    def dump(self, model: Any) -> bytes:
        """Return the file of a model: the same bytes for the same training."""

    def load(self, content: bytes, *, where: str) -> Any:
        """Return the model of a file, after the file was found harmless."""

    def predict(
        self, model: Any, columns: Mapping[str, Values], *, form: str, probabilities: bool
    ) -> dict[str, Values]:
        """Return the answers by name: "predict" and, where wanted, "predict_proba"."""

    def has_probabilities(self, model: Any) -> bool:
        """Tell whether the model gives a probability of each class."""

    def one_thread(self) -> AbstractContextManager[None]:
        """Let numeric libraries work with one thread, so that sums are made in one order."""

    def output(self, model: Any, answers: Mapping[str, Values]) -> Output:
        """Return what the model gives, seen from some answers."""


def get(name: str, *, where: str) -> Flavour:
    """Import a flavour."""
    if name not in _MODULES:
        raise Error(
            f"the model is of the flavour '{name}'; known is: {', '.join(_MODULES)}",
            where=where,
            hint="use a newer version of assay",
        )
    return cast("Flavour", importlib.import_module(_MODULES[name]))


def of(model: Any) -> str:
    """Return the flavour of a model."""
    for kind in type(model).__mro__:
        if kind.__module__.partition(".")[0] == "sklearn":
            return "sklearn"
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    raise Error(
        f"a bundle cannot hold {with_article(name)}",
        hint="give a fitted estimator or pipeline of scikit-learn",
    )
