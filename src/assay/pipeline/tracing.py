"""What a stage reads and writes while it runs, against what it declares: `repro --strict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assay.project.stages import Stage
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.pipeline.strict import Findings


class Trace:
    """Watches the commands of one stage.

    Parameters
    ----------
    folder : Path
        Where the log is kept; it goes with the folder.
    """

    def __init__(self, project: Project, stage: Stage, folder: Path) -> None:
        self._project, self._stage = project, stage
        self._log = folder / "trace.log"

    def wrap(self, arguments: list[str]) -> list[str]:
        """Return the arguments of a command with what traces it before them."""
        from assay.pipeline import strict

        return strict.wrap(arguments, self._log)

    def findings(self) -> Findings:
        """Return what the stage did undeclared, once its commands have ended."""
        from assay.pipeline import strict

        return strict.check(self._project, self._stage, self._log)
