"""Which of many keys are there, when a service can list in order or answer for one key.

The first page of a listing tells how many there will be, since hashes are spread evenly. Then the
shorter way is taken: the rest of the listing, or a question for each key that is still open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from assay.objects.remotes import Entry

Pages = Callable[[str, str], Iterator[list[Entry]]]
Ask = Callable[[set[str]], set[str]]

KEYS_A_PAGE = 10
"""So many single questions cost as much as a page of a listing (which S3 charges 12 times)."""
_PARTS = 8


def find_by_listing(keys: set[str], pages: Pages, ask: Ask, *, split: bool) -> set[str]:
    """Return those of `keys` that are there.

    Parameters
    ----------
    keys : set of str
        What is looked for.
    pages : callable
        Goes through the listing of a folder, in order, from the first key above another.
    ask : callable
        Asks for single keys.
    split : bool
        Whether a listing may begin anywhere at no cost.
    """
    folders: dict[str, set[str]] = {}
    for key in keys:
        folders.setdefault("/".join(key.split("/")[:-2]), set()).add(key)
    there: set[str] = set()
    for folder, below in folders.items():
        there |= _in_folder(folder, below, pages, ask, split=split)
    return there


def _in_folder(folder: str, keys: set[str], pages: Pages, ask: Ask, *, split: bool) -> set[str]:
    there: set[str] = set()
    listing = pages(folder, min(keys)[:-1] if split else "")
    first = next(listing, [])
    there.update(entry.key for entry in first)
    if not first:
        return set()
    last = first[-1].key
    open_ = {key for key in keys if key > last}
    if not open_:
        return there & keys
    start, end = position(first[0].key, folder), position(last, folder)
    if start is not None and end is not None and end > start:
        left = (1 - end) / (end - start)  # in pages
        if left * KEYS_A_PAGE > len(open_):
            return (there & keys) | ask(open_)
        if split and left > 2 * _PARTS:
            return (there & keys) | _in_parts(folder, open_, last, pages)
    for page in listing:
        there.update(entry.key for entry in page)
    return there & keys


def _in_parts(folder: str, keys: set[str], last: str, pages: Pages) -> set[str]:
    """List what comes after `last` in several parts at once."""
    low = int((position(last, folder) or 0) * 65536)
    edges = [low + (65536 - low) * part // _PARTS for part in range(_PARTS + 1)]
    top = f"{folder}/" if folder else ""
    starts = [last, *(f"{top}{edge >> 8:02x}/{edge & 255:02x}" for edge in edges[1:-1])]
    ends = [*starts[1:], None]

    def one(start: str, end: str | None) -> set[str]:
        found: set[str] = set()
        for page in pages(folder, start):
            found.update(entry.key for entry in page if end is None or entry.key <= end)
            if end is not None and page and page[-1].key > end:
                break
        return found & keys

    with ThreadPoolExecutor(_PARTS, thread_name_prefix="assay-remote") as pool:
        return set().union(*pool.map(one, starts, ends))


def position(key: str, folder: str) -> float | None:
    """Return where a key stands among all hashes, from 0 to 1; None if it is no hash.

    Examples
    --------
    >>> position("files/md5/80/00ff", "files/md5")
    0.5
    >>> position("files/md5/readme", "files/md5") is None
    True
    """
    rest = key[len(folder) :].lstrip("/").replace("/", "")[:4]
    if not re.fullmatch(r"[0-9a-f]{4}", rest):
        return None
    return int(rest, 16) / 65536
