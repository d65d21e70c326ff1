"""Which random seeds were set: by `assay.seed()`, and by a script itself.

From `import assay` on, `random.seed`, `numpy.random.seed`, `numpy.random.default_rng` and
`torch.manual_seed` note what they are given and do what they always do, whenever their library is
imported. What keeps the function itself from before `import assay` (`from random import seed`),
and a generator of another kind (`random.Random(5)`, `torch.Generator`), is not heard: `assay.seed`
says it in one line for all.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # this is a part of `import assay`, which has to cost next to nothing
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Hear = Callable[[str, str], None]

GENERATORS = "numpy.default_rng"
"""Not one generator for all, as the others are: a script may make several."""

_PLACES = {
    "random": {"seed": "random"},
    "numpy.random": {"seed": "numpy", "default_rng": GENERATORS},
    "torch": {"manual_seed": "torch"},
}
_LONGEST = 100  # characters of a seed
_SEEDS = (int, float, str, bytes, bytearray, list, tuple)
_listeners: list[Hear] = []
_heard: dict[str, str] = {}


def set_all(seed: int) -> dict[str, int]:
    """Seed Python's generator, and those of NumPy and PyTorch where they are imported.

    Returns
    -------
    dict
        The seed of each library that was seeded.
    """
    import random

    found = {"random": seed}
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        found["numpy"] = seed % 2**32  # it takes no larger one
        np.random.seed(found["numpy"])  # noqa: NPY002 -- it is the one for all
    if "torch" in sys.modules:
        found["torch"] = seed
        sys.modules["torch"].manual_seed(seed)
    for library, number in found.items():
        _note(library, number)
    return found


def known() -> dict[str, str]:
    """Return the seed that each library was given last, in this process and outside of a run."""
    return dict(_heard)


def listen(heard: Hear) -> None:
    """Tell `heard` the library and the seed of each one that is set from now on."""
    _listeners.append(heard)


def forget(heard: Hear) -> None:
    """Tell it no more."""
    if heard in _listeners:
        _listeners.remove(heard)


def hear_of_present() -> None:
    """Hear of seeds from now on, of libraries that are imported already."""
    for place in _PLACES:
        if place in sys.modules and "numba" not in sys.modules:  # it knows them by identity
            _wrap(sys.modules[place], place)


def find(name: str, path: Any, target: Any, *, asked_by: object) -> ModuleSpec | None:
    """Return what finders find for a library, so that it is heard of when it is there.

    Parameters
    ----------
    asked_by : object
        The finder that asks, see `assay/__init__.py`; it finds nothing itself.
    """
    for finder in sys.meta_path:
        find_spec = None if finder is asked_by else getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find_spec and find_spec(name, path, target)
        if spec is not None:
            _wrap_when_run(spec)
            return spec
    return None


def _wrap_when_run(spec: ModuleSpec) -> None:
    loader: Any = spec.loader
    if isinstance(loader, type) or not hasattr(loader, "exec_module"):  # one of several modules
        return
    original, name = loader.exec_module, spec.name

    def exec_module(module: ModuleType) -> None:
        original(module)
        if module.__name__ == name:
            _wrap(module, name)

    loader.exec_module = exec_module


def _wrap(module: ModuleType, place: str) -> None:
    for name, library in _PLACES[place].items():
        original = getattr(module, name, None)
        if original is not None and not hasattr(original, "_is_heard"):
            setattr(module, name, _noting(original, library, place))


def _noting(original: Any, library: str, place: str) -> Any:
    def seed(*arguments: Any, **named: Any) -> Any:
        done = original(*arguments, **named)
        given = arguments[0] if arguments else next(iter(named.values()), None)
        _note(library, given)
        return done

    seed.__name__ = seed.__qualname__ = original.__name__
    seed.__module__ = place
    seed.__doc__, seed.__dict__["__wrapped__"] = original.__doc__, original
    seed.__dict__["_is_heard"] = True
    return seed


def _note(library: str, given: object) -> None:
    """Tell of a seed; None was drawn from the system, and a generator is no seed."""
    if given is None:
        _heard.pop(library, None)
    if not isinstance(given, _SEEDS) and not hasattr(given, "dtype"):
        return
    text = str(given)[:_LONGEST]
    if library != GENERATORS or not _listeners:
        _heard[library] = text
    for heard in tuple(_listeners):
        heard(library, text)
