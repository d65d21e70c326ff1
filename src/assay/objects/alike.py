"""Names that some file systems take for one: `Data.csv` and `data.csv`, composed and decomposed ü.

Where the file system tells them apart, they are two files like any others.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from assay.base.errors import Error


def ignores_case(folder: Path) -> bool:
    """Say whether the file system that a folder lies on does not tell capital letters."""
    folder.mkdir(parents=True, exist_ok=True)
    other = folder.with_name(folder.name.swapcase())
    return other.name != folder.name and other.exists() and other.samefile(folder)


def refuse(names: Iterable[str], *, where: Path | str, is_one: Callable[[], bool]) -> None:
    """Raise where two names are one file; `is_one` is asked only if two are alike.

    Raises
    ------
    Error
        It names both.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(_key(name), name)
        if other != name and is_one():
            raise Error(
                f"'{other}' and '{name}' are one file on this disk, which does not tell capital "
                "letters from small ones; nothing was written",
                where=where,
                hint="rename one of them where the two can be told apart, and record that",
            )


def _key(name: str) -> str:
    return (name if name.isascii() else unicodedata.normalize("NFC", name)).casefold()
