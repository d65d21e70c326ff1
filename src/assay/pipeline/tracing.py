"""What a stage reads and writes while it runs, against what it declares: `repro --strict`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from assay.project.stages import Stage
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.pipeline.strict import Findings


class Trace:
    """Watches the commands of one stage; close it, or the log stays behind."""

    def __init__(self, project: Project, stage: Stage) -> None:
        project.work_dir.mkdir(parents=True, exist_ok=True)
        self._project, self._stage = project, stage
        self._log: Path = project.work_dir / f"trace.{os.urandom(8).hex()}"

    def wrap(self, arguments: list[str]) -> list[str]:
        """Return the arguments of a command with what traces it before them."""
        from assay.pipeline import strict

        return strict.wrap(arguments, self._log)

    def findings(self) -> Findings:
        """Return what the stage did undeclared, once its commands have ended."""
        from assay.pipeline import strict

        return strict.check(self._project, self._stage, self._log)

    def close(self) -> None:
        """Take the log away."""
        self._log.unlink(missing_ok=True)
