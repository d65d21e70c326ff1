"""How an object gets to a path: by reflink, hard link, symlink or copy, checked on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from assay.objects.cache import DIR, EXECUTABLE, Cache
from assay.objects.index import Index, Looks, Seen, seen

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
        self._checked: dict[str, Seen] | None = None
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
        from assay.objects.copying import UNSUPPORTED

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
        self,
        rows: Sequence[tuple[str, str]],
        target: Callable[[int], str],
        *,
        advance: Callable[[int], None],
    ) -> list[Looks | None]:
        """Make many new files, in folders that are made if need be.

        Parameters
        ----------
        rows : sequence of tuple
            The oids, all of one algorithm, each after the path that the file gets in the end.
        target : callable
            Returns where a file is made, by its number.

        Returns
        -------
        list of tuple or None
            What each copy looks like to an index; None for a link.
        """
        self._checked = {}
        try:
            done = self._links(rows, target, advance)
        finally:
            self._index.put(self._checked)
            self._checked = None
        if len(done) == len(rows):
            return done
        return done + self._copies(rows, len(done), target, advance)

    def _links(
        self,
        rows: Sequence[tuple[str, str]],
        target: Callable[[int], str],
        advance: Callable[[int], None],
    ) -> list[Looks | None]:
        """Link files, as long as there is a link type that works."""
        done: list[Looks | None] = []
        made: set[str] = set()
        while len(done) < len(rows) and self._types[:1] not in ([], ["copy"]):
            name = target(len(done))
            folder = os.path.dirname(name)  # noqa: PTH120
            if folder not in made:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103
                made.add(folder)
            self.place(rows[len(done)][1], name)
            done.append(None)
            advance(1)
        return done

    def _copies(
        self,
        rows: Sequence[tuple[str, str]],
        start: int,
        target: Callable[[int], str],
        advance: Callable[[int], None],
    ) -> list[Looks | None]:
        from assay.objects.copying import Job, copy_all

        place = self.cache.place
        algorithm = self.cache.of(rows[start][1]).algorithm

        def job(number: int) -> Job:
            oid = rows[start + number][1]
            return Job(place(oid), target(start + number), oid.removesuffix(DIR))

        try:
            found = copy_all(
                len(rows) - start, job, algorithm=algorithm, mode=_WRITABLE, advance=advance
            )
        except FileNotFoundError:
            lost = next((oid for _, oid in rows if not self.cache.has(oid)), None)
            if lost is None:
                raise
            raise self.cache.missing(lost) from None
        for number, copied in enumerate(found):
            if copied is None:
                raise self.cache.damaged(rows[start + number][1])
        return found

    def _check(self, oid: str, source: str) -> None:
        status = os.stat(source)  # noqa: PTH116
        if self._index.get(source, status) == oid:
            return
        if not self.cache.verify(oid):
            raise self.cache.damaged(oid)
        if self._checked is not None:
            self._checked[source] = seen(status, oid)
        else:
            self._index.put({source: seen(status, oid)})

    def _reflink(self, _oid: str, source: str, target: str) -> None:
        from assay.objects.copying import clone

        with open(source, "rb") as origin, open(target, "xb") as copied:  # noqa: PTH123
            clone(origin.fileno(), copied.fileno())

    def _hardlink(self, _oid: str, source: str, target: str) -> None:
        os.link(source, target)

    def _symlink(self, _oid: str, source: str, target: str) -> None:
        os.symlink(os.path.abspath(source), target)  # noqa: PTH100, PTH211

    def _copy(self, oid: str, source: str, target: str) -> None:
        from assay.objects.copying import copy

        found, _ = copy(source, target, algorithm=self.cache.of(oid).algorithm, mode=_WRITABLE)
        if found != oid.removesuffix(DIR):
            os.unlink(target)  # noqa: PTH108
            raise self.cache.damaged(oid)
