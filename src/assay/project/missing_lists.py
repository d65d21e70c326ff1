"""The list of files of a folder, copied from its remote while git waits for a merge.

A process of its own does it: it can be ended when the remote does not answer, and asks nobody for
a password.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from assay.project.workspace import Project

SECONDS = 20.0
"""So long git is kept waiting for one list."""

_CODE = "import sys; from assay.project import missing_lists; missing_lists.copy(*sys.argv[1:])"


def bring(project: Project, oid: str, *, remote: str | None, seconds: float = SECONDS) -> None:
    """Copy the list of files of a folder into the cache; quietly nothing where that fails."""
    try:
        subprocess.run(
            [sys.executable, "-P", "-c", _CODE, str(project.root), oid, remote or ""],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            start_new_session=True,  # without a terminal nobody can be asked
        )
    except subprocess.TimeoutExpired:
        return


def copy(root: str, oid: str, remote: str) -> None:
    """Copy one object into the cache of the project in a folder: from a remote or the default."""
    from assay.objects.remotes import open_remote
    from assay.objects.transfer import item_of
    from assay.project import workspace

    project = workspace.find(Path(root))
    opened = open_remote(project.config.remote(remote or None))
    opened.download([item_of(oid, project.cache)], advance=lambda *_: None)
