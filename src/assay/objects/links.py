"""How an object gets to a path: by reflink, hard link, symlink or copy, checked on the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from assay.objects.cache import DIR, EXECUTABLE, Cache
from assay.objects.hashing import hash_file
from assay.objects.index import Index, seen

LinkType = Literal["reflink", "hardlink", "symlink", "copy"]

LINK_TYPES: tuple[LinkType, ...] = ("reflink", "hardlink", "symlink", "copy")
DEFAULT: tuple[LinkType, ...] = ("reflink", "copy")

_FICLONE = 0x40049409
_UNSUPPORTED = {
    errno.EOPNOTSUPP,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOTTY,
    errno.EPERM,
    errno.EMLINK,
    errno.ENOSYS,
}


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
                if self._types[0] == "copy" or error.errno not in _UNSUPPORTED:
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

    def _check(self, oid: str, source: str) -> None:
        status = os.stat(source)  # noqa: PTH116
        if self._index.get(source, status) == oid:
            return
        if not self.cache.verify(oid):
            raise self.cache.damaged(oid)
        self._index.put({source: seen(status, oid)})

    def _reflink(self, _oid: str, source: str, target: str) -> None:
        import fcntl

        with open(source, "rb") as origin, open(target, "xb") as clone:  # noqa: PTH123
            fcntl.ioctl(clone.fileno(), _FICLONE, origin.fileno())

    def _hardlink(self, _oid: str, source: str, target: str) -> None:
        os.link(source, target)

    def _symlink(self, _oid: str, source: str, target: str) -> None:
        os.symlink(os.path.abspath(source), target)  # noqa: PTH100, PTH211

    def _copy(self, oid: str, source: str, target: str) -> None:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            found, _ = hash_file(source, algorithm=self.cache.algorithm, into=descriptor)
        except BaseException:
            os.unlink(target)  # noqa: PTH108
            raise
        finally:
            os.close(descriptor)
        if found != oid.removesuffix(DIR):
            os.unlink(target)  # noqa: PTH108
            raise self.cache.damaged(oid)
