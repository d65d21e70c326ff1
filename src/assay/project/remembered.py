"""What a remote had when it was last asked, so that the question can be left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.base.files import write_atomic
from assay.objects.hashing import hash_bytes
from assay.objects.remotes import RemoteSettings, open_remote
from assay.project.workspace import Project


class Remembered:
    """A remote that is asked what it has, or, without `refresh`, only if it never was before."""

    def __init__(self, project: Project, settings: RemoteSettings, *, refresh: bool) -> None:
        self._settings, self._refresh = settings, refresh
        name = hash_bytes(settings.url.encode())
        self._file: Path = project.assay_dir / "remotes" / name

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are, or were, there."""
        if not self._refresh:
            try:
                there = set(self._file.read_text(encoding="utf-8").split("\n"))
            except OSError:
                pass
            else:
                return there.intersection(keys)
        found = open_remote(self._settings).find(keys)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file, "\n".join(sorted(found)))
        return found
