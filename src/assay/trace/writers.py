"""Which of several runs wrote what another read: the same one, from whichever end it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """That a run read or wrote a content, with what is needed to choose among many."""

    run: str
    path: str
    start: int
    parent: str | None
    is_reproduction: bool = False


def chosen(
    writers: Sequence[Passed], *, path: str | None, reader: Passed | None
) -> Passed | None:  # fmt: skip
    """Return the run that wrote a content: of the reader's pipeline, or the last before.

    The same content may have been written many times: by a reproduction, say.

    Parameters
    ----------
    writers : sequence of Passed
        Oldest first.
    path : str or None
        Where the content lies; one that wrote it there goes before others.
    reader : Passed or None
        Who read it; a run that began later, or the reader itself, did not write that.
    """
    if reader is not None:
        writers = [w for w in writers if w.start <= reader.start and w.run != reader.run]
        siblings = [w for w in writers if w.parent is not None and w.parent == reader.parent]
        if siblings:
            return siblings[-1]
    same_path = [w for w in writers if w.path == path]
    first_hand = [w for w in same_path or writers if not w.is_reproduction]
    found = first_hand or same_path or writers
    return found[-1] if found else None
