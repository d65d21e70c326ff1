"""How an object gets to a path: by reflink, hard link, symlink or copy, checked on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from assay.objects.cache import DIR, EXECUTABLE, Cache
from assay.objects.copying import UNSUPPORTED, Job, clone, copy, copy_all
from assay.objects.hashing import Algorithm
from assay.objects.index import Index, Looks, seen

LinkType = Literal["reflink", "hardlink", "symlink", "copy"]

LINK_TYPES: tuple[LinkType, ...] = ("reflink", "hardlink", "symlink", "copy")
DEFAULT: tuple[LinkType, ...] = ("reflink", "copy")

_WRITABLE = 0o666


class Linker:
    """Puts objects of one cache at new paths, by the first link type that works there.

    Bytes are checked against the oid: while they are copied, and for the other types once, after
    which the index knows the object.
    """

    def __init__(self, cache: Cache, index: Index, types: Sequence[LinkType] = DEFAULT) -> None:
        self.cache, self._index = cache, index
        self._types = [*types]
        self._umask = os.umask(0)
        os.umask(self._umask)

    def place(self, oid: str, target: str, *, is_executable: bool = False) -> None:
        """Make the new file `target` from an object.

        Raises
        ------
        NotFound
            If the object is not in the cache.
        Damaged
            If its bytes do not have its hash; nothing is left at `target`.
        """
        source = self.cache.place(oid)
        while self._types:
            try:
                if self._types[0] != "copy":
                    self._check(oid, source)
                getattr(self, f"_{self._types[0]}")(oid, source, target)
            except FileNotFoundError:
                if self.cache.has(oid):
                    raise
                raise self.cache.missing(oid) from None
            except OSError as error:
                if self._types[0] == "copy" or error.errno not in UNSUPPORTED:
                    raise
                Path(target).unlink(missing_ok=True)
                self._types.pop(0)
                continue
            break
        else:
            self._copy(oid, source, target)
        if is_executable:
            linked = self._types[:1] in (["hardlink"], ["symlink"])
            mode = EXECUTABLE if linked else (0o666 & ~self._umask) | 0o100
            os.chmod(target, mode)  # noqa: PTH101

    def place_all(
        self, rows: Sequence[tuple[str, str]], *, advance: Callable[[int], None]
    ) -> list[Looks | None]:
        """Make many new files, each given by oid and path, in folders that are made if need be.

        Returns what each copy looks like to an index; None for a link. Raises what
        `place` does; what was made until then stays.
        """
        done: list[Looks | None] = []
        while len(done) < len(rows) and self._types[:1] not in ([], ["copy"]):
            oid, target = rows[len(done)]
            if not done or os.path.dirname(target) != os.path.dirname(rows[len(done) - 1][1]):  # noqa: PTH120
                os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            self.place(oid, target)
            done.append(None)
            advance(1)
        return done + self._copies(rows[len(done) :], advance)

    def _copies(
        self, rows: Sequence[tuple[str, str]], advance: Callable[[int], None]
    ) -> list[Looks | None]:
        place, by_algorithm = self.cache.place, _by_algorithm(rows, self.cache)
        found: dict[str, Looks | None] = {}
        for algorithm, some in by_algorithm.items():
            jobs = [Job(place(oid), target, oid.removesuffix(DIR)) for oid, target in some]
            try:
                copies = copy_all(jobs, algorithm=algorithm, mode=_WRITABLE, advance=advance)
            except FileNotFoundError:
                lost = next((oid for oid, _ in some if not self.cache.has(oid)), None)
                if lost is None:
                    raise
                raise self.cache.missing(lost) from None
            for (oid, target), job, copied in zip(some, jobs, copies, strict=True):
                if copied.oid != job.wanted:
                    raise self.cache.damaged(oid)
                found[target] = copied.looks
        return [found[target] for _, target in rows]

    def _check(self, oid: str, source: str) -> None:
        status = os.stat(source)  # noqa: PTH116
        if self._index.get(source, status) == oid:
            return
        if not self.cache.verify(oid):
            raise self.cache.damaged(oid)
        self._index.put({source: seen(status, oid)})

    def _reflink(self, _oid: str, source: str, target: str) -> None:
        with open(source, "rb") as origin, open(target, "xb") as copied:  # noqa: PTH123
            clone(origin.fileno(), copied.fileno())

    def _hardlink(self, _oid: str, source: str, target: str) -> None:
        os.link(source, target)

    def _symlink(self, _oid: str, source: str, target: str) -> None:
        os.symlink(os.path.abspath(source), target)  # noqa: PTH100, PTH211

    def _copy(self, oid: str, source: str, target: str) -> None:
        found, _ = copy(source, target, algorithm=self.cache.of(oid).algorithm, mode=_WRITABLE)
        if found != oid.removesuffix(DIR):
            os.unlink(target)  # noqa: PTH108
            raise self.cache.damaged(oid)


def _by_algorithm(
    rows: Iterable[tuple[str, str]], cache: Cache
) -> dict[Algorithm, list[tuple[str, str]]]:
    found: dict[Algorithm, list[tuple[str, str]]] = {}
    for row in rows:
        algorithm = cache.of(row[0]).algorithm
        found.setdefault(algorithm, []).append(row)
    return found
