"""Untracked symbolic links, as the part of a patch that makes them again.

A link is kept as git keeps one: by its text, whatever it leads to, so that `git apply` makes it.
It is neither followed nor read through.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LETTERS = dict(zip(b'"\\\a\b\t\n\v\f\r', (b'"', b"\\", *map(str.encode, "abtnvfr")), strict=True))


def patch(root: Path, name: str) -> bytes:
    """Return the patch that adds the link `name` of a work tree; the text is the link's own."""
    text = os.readlink(os.fsencode(root / name))  # noqa: PTH115 -- as bytes, of any encoding
    was, now = _quoted("a/", name), _quoted("b/", name)
    tab = b"\t" if " " in name else b""
    lines = text.split(b"\n")
    end = b"" if lines[-1] == b"" else b"\\ No newline at end of file\n"
    lines = lines[:-1] if lines[-1] == b"" else lines
    count = b"" if len(lines) == 1 else b",%d" % len(lines)
    return b"".join([
        b"diff --git %s %s\nnew file mode 120000\n" % (was, now),
        b"--- /dev/null\n+++ %s%s\n@@ -0,0 +1%s @@\n" % (now, tab, count),
        *(b"+%s\n" % line for line in lines),
        end,
    ])  # fmt: skip


def _quoted(prefix: str, name: str) -> bytes:
    r"""Return a path as a patch names it: in quotes where it has signs that would end it.

    Examples
    --------
    >>> _quoted("b/", "a b"), _quoted("b/", 'say "hi"'), _quoted("b/", "a\nb")
    (b'b/a b', b'"b/say \\"hi\\""', b'"b/a\\nb"')
    """
    path = os.fsencode(f"{prefix}{name}")
    if not any(sign < 0x20 or sign == 0x7F or sign in b'"\\' for sign in path):
        return path
    return b'"%s"' % b"".join(_escaped(sign) for sign in path)


def _escaped(sign: int) -> bytes:
    if sign in _LETTERS:
        return b"\\" + _LETTERS[sign]
    return b"\\%03o" % sign if sign < 0x20 or sign == 0x7F else b"%c" % sign
