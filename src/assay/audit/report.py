"""An audit as text for a terminal, and as Markdown for a README."""

from __future__ import annotations

from assay.audit.audit import Audit
from assay.audit.factors import Factor, Verdict
from assay.base.clock import iso
from assay.render.markdown import markdown_table
from assay.render.tables import text_table

_WORDS: dict[Verdict, str] = {"holds": "yes", "fails": "NO", "unknown": "?"}


def text(found: Audit) -> str:
    """Return the twelve factors as a table, and below it what to type next."""
    rows = [
        [str(one.number), one.name, _WORDS[one.verdict], _evidence(one)] for one in found.factors
    ]
    parts = [_head(found), text_table(["", "factor", "", "evidence"], rows)]
    steps: dict[str, list[str]] = {}
    for one in found.factors:
        if one.next_step is not None:
            steps.setdefault(one.next_step, []).append(str(one.number))
    if steps:
        lines = [[", ".join(numbers), step] for step, numbers in steps.items()]
        parts.append("next:\n" + text_table(["", ""], lines).lstrip("\n"))
    return "\n\n".join(parts)


def markdown(found: Audit) -> str:
    """Return the twelve factors as a table of Markdown, with the next step in the same row."""
    rows = [
        [str(one.number), one.name, _WORDS[one.verdict], _evidence(one), one.next_step or ""]
        for one in found.factors
    ]
    header = ["", "Factor", "Holds", "Evidence", "Next step"]
    if all(not row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return f"{_head(found)}\n\n{markdown_table(header, rows)}\n"


def _head(found: Audit) -> str:
    what = f"'{found.endpoint}'" if found.endpoint else "this project"
    version = f", {found.version}" if found.version else ""
    count = f"{found.n_holds} of {len(found.factors)} factors hold"
    return f"{count} for {what}{version}, {iso(found.at)}"


def _evidence(factor: Factor) -> str:
    """Return what was found in one line: against a factor only what speaks against it."""
    if factor.holds:
        return "; ".join(factor.evidence)
    more = len(factor.evidence) - 1
    return factor.evidence[0] + (f" (+{more})" if more > 2 else "")
