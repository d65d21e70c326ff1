"""Whether the tables, metrics and baselines that sections of `assay.yaml` name are declared."""

from __future__ import annotations

from assay.base.errors import did_you_mean
from assay.project.grammar import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from assay.project.declaration import Declaration


def check(source: Source, declared: Declaration) -> None:
    """Refuse names of tables, metrics and baselines that nothing declares.

    Raises
    ------
    Invalid
        With file, line, and the nearest name.
    """
    tables = declared.data.tables
    used: list[tuple[list[str], str]] = [(["schema", name], name) for name in declared.schema]
    if declared.evaluation is not None:
        used.append((["evaluation", "table"], declared.evaluation.table))
    if declared.retrain is not None and declared.retrain.data is not None:
        used.append((["retrain", "data", "table"], declared.retrain.data.table))
    for at, name in used:
        if name not in tables:
            raise source.fail(
                at,
                f"there is no table '{name}' under data.tables",
                hint=did_you_mean(name, tables) or "declare it there with its path",
            )
    gate, evaluation = declared.gate, declared.evaluation
    if gate is None or evaluation is None:
        return
    for metric in gate.metrics:
        if metric not in evaluation.metrics:
            raise source.fail(
                ["gate", "metrics", metric],
                f"the gate asks for '{metric}', which evaluation.metrics does not name",
                hint=did_you_mean(metric, evaluation.metrics) or "add it there",
            )
    if gate.baseline is not None and gate.baseline not in evaluation.baselines:
        raise source.fail(
            ["gate", "baseline"],
            f"there is no baseline '{gate.baseline}' under evaluation.baselines",
            hint=did_you_mean(gate.baseline, evaluation.baselines),
        )
