"""Which of several runs wrote what another read: the same one, from whichever end it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """That a run read or wrote a content, with what is needed to choose among many."""

    run: str
    path: str
    start: int
    parent: str | None
    is_reproduction: bool = False


def chosen(
    writers: Sequence[Passed],
    *,
    path: str | None,
    reader: Passed | None,
    has_origin: Callable[[], bool],
) -> Passed | None:
    """Return the run that wrote a content: of the reader's pipeline, or the last before.

    The same content may have been written many times: by a reproduction, say. The path decides
    first: equal bytes that were written elsewhere are where these came from only if nothing is
    on record of where these lie, as of a file that was renamed or copied by hand.

    Parameters
    ----------
    writers : sequence of Passed
        Oldest first.
    path : str or None
        Where the content lies.
    reader : Passed or None
        Who read it; a run that began later, or the reader itself, did not write that.
    has_origin : callable
        Tells whether the content lay there by a record of its own: a `.dvc` file, or git. It is
        asked only where other paths have a writer and this one has none.
    """
    if reader is not None:
        writers = [w for w in writers if w.start <= reader.start and w.run != reader.run]
    same_path = [w for w in writers if w.path == path]
    if not writers or (not same_path and has_origin()):
        return None
    near = same_path or writers
    if reader is not None:
        siblings = [w for w in near if w.parent is not None and w.parent == reader.parent]
        if siblings:
            return siblings[-1]
    first_hand = [w for w in near if not w.is_reproduction]
    return (first_hand or near)[-1]
