"""Which code ran: files that differ from a commit, without those that are no code.

No code are `*.dvc`, `dvc.lock`, the ignore files that the tools write, parameter files with
`assay.yaml`, the outputs of the run's own stages, and the file with the results of the tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from assay.audit import steps
from assay.pipeline.record import Plan
from assay.project import declaration, git

_TOOLS = frozenset({"dvc.lock", ".gitignore", ".dvcignore"})
_SECTION = b"diff --git "

IsCode = Callable[[str], bool]


def is_code_of(plan: Plan, *, prefix: str, besides: Iterable[str | None] = ()) -> IsCode:
    """Return what tells whether a file of the repository is code of a run with this plan.

    Parameters
    ----------
    prefix : str
        The project's folder in the repository, with a slash, or nothing.
    besides : iterable of str or None
        Other paths of the project that are no code.
    """
    files = {f"{prefix}{declaration.FILE}", f"{prefix}params.yaml"}
    files |= {f"{prefix}{path}" for path in besides if path is not None}
    files |= {f"{prefix}{path}" for step in plan.steps for path in steps.params_files(step)}
    made = {f"{prefix}{path}" for step in plan.steps for path in steps.outputs(step)}

    def is_code(path: str) -> bool:
        name = path.rpartition("/")[2]
        if name in _TOOLS or name.endswith(".dvc") or path in files or path in made:
            return False
        return not any(path.startswith(f"{folder}/") for folder in made)

    return is_code


def changed(patch: bytes, is_code: IsCode) -> dict[str, str]:
    r"""Return the code that a patch changes, by path, with a hash of each change.

    Examples
    --------
    >>> patch = b"diff --git a/t.py b/t.py\n+x = 1\ndiff --git a/a.dvc b/a.dvc\n+md5: 1\n"
    >>> list(changed(patch, lambda path: not path.endswith(".dvc")))
    ['t.py']
    """
    found: dict[str, list[bytes]] = {}
    lines: list[bytes] = []
    for line in patch.splitlines(keepends=True):
        if line.startswith(_SECTION):
            lines = found.setdefault(_named(line), [])
        lines.append(line)
    return {
        path: hashlib.sha256(b"".join(section)).hexdigest()
        for path, section in found.items()
        if is_code(path)
    }


def _named(header: bytes) -> str:
    r"""Return the path in the first line of a file's patch; the line where the two names differ.

    Examples
    --------
    >>> _named(b'diff --git "a/caf\\303\\251.dvc" "b/caf\\303\\251.dvc"\n')
    'café.dvc'
    >>> _named(b'diff --git "a/caf\\303\\251.dvc" b/x.py\n')
    '"a/caf\\303\\251.dvc" b/x.py'
    """
    both = header[len(_SECTION) :].strip().decode(errors="replace")
    half = (len(both) - 1) // 2
    if both.startswith('"') and both == f'"a/{both[3:half]} "b/{both[3:half]}':
        return next(iter(git.patched(header)))  # an odd name, which git quotes
    path = both[2:half]
    return path if both == f"a/{path} b/{path}" else both
