"""Assay: from raw data to a monitored model and back, versioned, measured and reproducible.

The names below are the Python API. Each is loaded when it is first touched, so that
``import assay`` itself costs next to nothing.
"""

from __future__ import annotations

import sys as _sys

TYPE_CHECKING = False  # importing `typing` for it would cost more than all else here
if TYPE_CHECKING:
    from assay.base.errors import Error, Inconclusive, Negative
    from assay.bundle.load import load
    from assay.bundle.make import make as bundle
    from assay.ledger.sdk.recorder import (
        log_artifact,
        log_artifacts,
        log_dataset,
        log_dict,
        log_figure,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        log_table,
        log_text,
        run,
        seed,
        set_tag,
        set_tags,
    )
    from assay.ledger.sdk.searching import search_runs

__version__ = "0.1.0"

__all__ = [
    "Error",
    "Inconclusive",
    "Negative",
    "__version__",
    "bundle",
    "load",
    "log_artifact",
    "log_artifacts",
    "log_dataset",
    "log_dict",
    "log_figure",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "run",
    "search_runs",
    "seed",
    "set_tag",
    "set_tags",
]

_HOME = (
    dict.fromkeys(("Error", "Inconclusive", "Negative"), "assay.base.errors")
    | dict.fromkeys(
        (name for name in __all__ if name.islower() and not name.startswith("_")),
        "assay.ledger.sdk.recorder",
    )
    | {"load": "assay.bundle.load", "search_runs": "assay.ledger.sdk.searching"}
)
_ROOMS = {"bundle"}
"""Packages that are called by their own name; see `assay.bundle`."""


_SEEDED = ("random", "numpy.random", "torch")


class _Hearing:
    """Lets the seeds be heard that a script sets before it touches anything else of Assay."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> object:
        """Find nothing, but see to it that what others find is heard of."""
        if name not in _SEEDED:
            return None
        from assay.ledger.sdk import seeds

        return seeds.find(name, path, target, asked_by=_Hearing)


if not any(getattr(one, "__name__", "") == "_Hearing" for one in _sys.meta_path):
    _sys.meta_path.insert(0, _Hearing)  # type: ignore[arg-type] # its types would have to be imported
    if any(name in _sys.modules for name in _SEEDED):
        from assay.ledger.sdk import seeds as _seeds

        _seeds.hear_of_present()


def __getattr__(name: str) -> object:
    """Import the home of a public name when it is first touched (PEP 562)."""
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"assay.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
