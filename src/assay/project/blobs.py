"""Objects of a git repository, read by one `git cat-file` that stays: a thousand in a second."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from assay.project.git import Failed

if TYPE_CHECKING:
    import subprocess


class Entry(NamedTuple):
    """One row of a tree: the name, the object, and whether that is a tree itself."""

    name: str
    object: str
    is_tree: bool


class Blobs:
    """Reads objects by name; close it, or use it in a `with`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._trees: dict[str, list[str]] = {}

    def read(self, name: str) -> bytes | None:
        """Return the content of an object, or None where git does not have it.

        Parameters
        ----------
        name : str
            A hash, `HASH^{tree}`, or `HASH:PATH`.
        """
        to_git, from_git = self._pipes()
        to_git.write(f"{name}\n".encode())
        to_git.flush()
        header = from_git.readline().split()
        if len(header) != 3 or not header[2].isdigit():  # a name that is not there may have blanks
            if not header:
                raise Failed("'git cat-file' ended early", where=self._root)
            return None
        content = from_git.read(int(header[2]))
        from_git.read(1)
        return content

    def file(self, commit: str, path: str) -> bytes | None:
        """Return a file as it is in a commit, or None if it is not there."""
        line, content = self._ask(f"{commit}:{path}")
        return content if line.split(b" ")[1:2] == [b"blob"] else None

    def is_commit(self, name: str) -> bool:
        """Say whether a hash is that of a commit."""
        return self._ask(name)[0].split(b" ")[1:2] == [b"commit"]

    def list_files(self, commit: str) -> list[str]:
        """Return the paths of all files in a commit."""
        return self._below(f"{commit}^{{tree}}")

    def _below(self, tree: str) -> list[str]:
        if tree not in self._trees:
            found = []
            for row in self.tree(tree):
                if row.is_tree:
                    found += [f"{row.name}/{name}" for name in self._below(row.object)]
                else:
                    found.append(row.name)
            self._trees[tree] = found
        return self._trees[tree]

    def _ask(self, name: str) -> tuple[bytes, bytes | None]:
        """Return what git says of an object, and its content; None where there is none."""
        to_git, from_git = self._pipes()
        to_git.write(os.fsencode(f"{name}\n"))
        to_git.flush()
        line = from_git.readline().rstrip(b"\n")
        if not line:
            raise Failed("'git cat-file' ended early", where=self._root)
        if line.endswith((b" missing", b" ambiguous")):  # a name may have blanks
            return b"", None
        content = from_git.read(int(line.rpartition(b" ")[2]))
        from_git.read(1)
        return line, content

    def tree(self, name: str) -> list[Entry]:
        """Return the rows of a tree; none where git does not have it. Submodules are left out."""
        content = self.read(name) or b""
        size = 20 if len(name.partition("^")[0]) == 40 else 32
        found, at = [], 0
        while at < len(content):
            end = content.index(b"\0", at)
            mode, _, file = content[at:end].partition(b" ")
            hashed = content[end + 1 : end + 1 + size].hex()
            at = end + 1 + size
            if mode != b"160000":
                found.append(Entry(os.fsdecode(file), hashed, mode == b"40000"))
        return found

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            import subprocess

            self._process = subprocess.Popen(
                ["git", "cat-file", "--batch"],
                cwd=self._root,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )
        to_git, from_git = self._process.stdin, self._process.stdout
        if to_git is None or from_git is None:
            raise Failed("'git cat-file' has no pipes", where=self._root)
        return to_git, from_git

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
