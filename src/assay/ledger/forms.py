"""The forms of what comes from outside: a run's id, a hash, a path that stays in its folder."""

from __future__ import annotations

import re

ID = re.compile(r"[0-9a-zA-Z][\w-]{0,255}")
"""Of a run, or of a logged model."""

OID = re.compile(r"(md5|sha256|md5-dos2unix):[0-9a-f]{32,64}(\.dir)?")
"""Of any content that a run knows."""

STORED = re.compile(r"sha256:[0-9a-f]{64}")
"""Of a file that lies in `.assay/objects`."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_inside(path: str) -> bool:
    """Say whether a path stays in its folder, and out of git's own."""
    parts = path.split("/")
    return not (
        CONTROL.search(path) or any(part in {"", ".", ".."} or _is_git(part) for part in parts)
    )


def _is_git(part: str) -> bool:
    """Say whether a file system may take a name for `.git`."""
    return part.lower().rstrip(" .").partition(":")[0] in {".git", "git~1"}
