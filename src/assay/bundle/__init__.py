"""Freeze a fitted model into a bundle: `assay.bundle(model, X=..., y=..., to="bundle")`.

This room makes the deployable artefact and opens it again: `make` freezes, `load` opens, `find`
says which bundle a name stands for, `contents` holds the files, `flavours` the kinds of model.

`assay.bundle` is the name of this package and of the function that users call. So that both are
true, whichever is imported first, the package itself can be called: the class of a module may be
set ("Customizing module attribute access" in Python's data model).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect import Signature

    from assay.bundle.load import Bundle


class _Room(ModuleType):
    """The package, which makes a bundle when it is called."""

    def __call__(self, model: Any, **given: Any) -> Bundle:
        """Make a bundle, as `assay.bundle.make.make` does."""
        from assay.bundle.make import make

        return make(model, **given)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]  # what help() shows of it
        from assay.bundle.make import make

        return make.__doc__

    @property
    def __signature__(self) -> Signature:
        from inspect import signature

        from assay.bundle.make import make

        return signature(make)


sys.modules[__name__].__class__ = _Room
