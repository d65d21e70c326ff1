"""Which random seeds were set: by `assay.seed()`, and by a script itself inside its run.

While a run goes on, `random.seed`, `numpy.random.seed` and `torch.manual_seed` note what they are
given and do what they always do; afterwards they are the originals again. A library that is
imported later, and a generator of a script's own (`numpy.random.default_rng`), are not seen:
`assay.seed` says it in one line for all.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Callable
from typing import Any

_PLACES = (("random", "seed", "random"), ("numpy.random", "seed", "numpy"),
           ("torch", "manual_seed", "torch"))  # fmt: skip
_lock = threading.Lock()
_listeners: list[Callable[[str, object], None]] = []
_originals: dict[tuple[str, str], Any] = {}


def set_all(seed: int) -> dict[str, int]:
    """Seed Python's generator, and those of NumPy and PyTorch where they are imported.

    Returns
    -------
    dict
        The seed of each library that was seeded.
    """
    found = {"random": seed}
    _original("random", "seed")(seed)
    if "numpy" in sys.modules:
        found["numpy"] = seed % 2**32  # it takes no larger one
        _original("numpy.random", "seed")(found["numpy"])
    if "torch" in sys.modules:
        found["torch"] = seed
        _original("torch", "manual_seed")(seed)
    return found


def listen(heard: Callable[[str, object], None]) -> None:
    """Tell `heard` the library and the seed of each one that is set from now on."""
    with _lock:
        _listeners.append(heard)
        if len(_listeners) > 1:
            return
        for place, name, library in _PLACES:
            if library in sys.modules:
                module = importlib.import_module(place)  # NumPy brings its own when it is touched
                original = getattr(module, name)
                _originals[place, name] = original
                setattr(module, name, _noting(original, library))


def forget(heard: Callable[[str, object], None]) -> None:
    """Tell it no more; the last one that leaves puts the originals back."""
    with _lock:
        if heard in _listeners:
            _listeners.remove(heard)
        if _listeners:
            return
        for (place, name), original in _originals.items():
            setattr(sys.modules[place], name, original)
        _originals.clear()


def _noting(original: Any, library: str) -> Any:
    @functools.wraps(original)
    def seed(*arguments: Any, **named: Any) -> Any:
        given = arguments[0] if arguments else next(iter(named.values()), None)
        done = original(*arguments, **named)
        for heard in tuple(_listeners):
            heard(library, given)
        return done

    return seed


def _original(place: str, name: str) -> Any:
    return _originals.get((place, name)) or getattr(importlib.import_module(place), name)
