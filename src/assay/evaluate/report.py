"""The report on a candidate as Markdown, for a pull request: the verdict first.

A forge cuts comments at a length; sections fall away from the end until the report fits, the
verdict never. An HTML comment at the top says whose report it is, one at the end holds all
results as JSON. The same evaluation gives the same text, to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from assay.evaluate import metrics as known
from assay.evaluate.compare import Comparison
from assay.evaluate.evaluation import Evaluation, Result
from assay.evaluate.figures import Figures
from assay.evaluate.gate import Ruling, Verdict
from assay.evaluate.intervals import Interval
from assay.render.markdown import escape, markdown_table
from assay.render.tables import ABSENT, format_number

EMOJI = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}  # forges have the font, pages may not
SIGNS = {"pass": "✓", "fail": "✕", "inconclusive": "?", "too few": "?"}
VERSION = 1
HEADER = ("metric", "base", "candidate", "delta", "95 % interval", "margin", "verdict")
NOTE_ON_DELTA = "Delta is candidate less base, turned so that above 0 is better."


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report tells.

    Attributes
    ----------
    key : str
        Whose report it is: a later one with the same key takes its place.
    sha : str
        The commit that was judged.
    facts : mapping of str to str
        Where it comes from: hash of the data, run, environment, changed parameters, links.
    reproduce : str
        The command that makes it again.
    others : tuple of Evaluation
        The candidate beside the baselines.
    """

    evaluation: Evaluation
    verdict: Verdict | None = None
    figures: Figures = Figures()
    others: tuple[Evaluation, ...] = ()
    title: str = "Evaluation"
    key: str = "evaluation"
    sha: str = ""
    facts: Mapping[str, str] = {}
    reproduce: str = ""


def markdown(report: Report, *, limit: int | None = None) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    limit : int, optional
        The most characters a forge takes. What does not fit is dropped, sections from the end
        first, then the JSON; the verdict and its table stay.
    """
    head = [marker(report), f"## {escape(report.title)}: {headline(report)}"]
    if report.verdict is not None:
        head.append(f"{_sentence(report.verdict.reason)}.")
    if report.evaluation.note:
        head.append(f"{_sentence(report.evaluation.note)}.")
    head.extend([_metrics_table(report), NOTE_ON_DELTA])
    details, hidden = _details(report), [_json(report)]
    while True:
        text = "\n\n".join([*head, *details, *hidden]) + "\n"
        if limit is None or len(text) <= limit or not (details or hidden):
            return text
        if details:
            details.pop()
        else:
            hidden = []


def marker(report: Report) -> str:
    """Return the HTML comment by which a forge's comment is found again."""
    return f"<!-- assay:report key={_word(report.key)} sha={_word(report.sha)} v={VERSION} -->"


def headline(report: Report) -> str:
    """Return the verdict in a word."""
    verdict = report.verdict
    if verdict is None:
        return f"{report.evaluation.n_rows:,} rows, no gate"
    return f"{EMOJI[verdict.answer]} **{verdict.answer}**"


def metric_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the table of all metrics on all rows, as text."""
    return [_row(r, ruling_of(report, r)) for r in report.evaluation.results if r.slice is None]


def slice_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the table of slices, the worst first: by the upper end of the difference."""
    found = [r for r in report.evaluation.results if r.slice is not None]
    return [
        (str(r.slice), f"{r.n_rows:,}", *_row(r, ruling_of(report, r)), _p(r.p_holm))
        for r in sorted(found, key=lambda r: _badness(r, ruling_of(report, r)))
    ]


SLICE_HEADER = ("slice", "rows", *HEADER, "p (Holm)")
_SEVERITY = {"fail": 0, "inconclusive": 2, "pass": 2, "too few": 3}


def baseline_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the table of baselines; a candidate that is not surely better is marked."""
    rows = []
    for other in report.others:
        for result in other.results:
            comparison = result.comparison
            if result.slice is None and comparison is not None:
                values = _row(result, None)
                rows.append((str(other.base), *values[:5], _seen(comparison)))
    return rows


BASELINE_HEADER = (
    "baseline", "metric", "baseline value", "candidate", "delta", "95 % interval", "candidate is",
)  # fmt: skip


def reasons(report: Report) -> list[str]:
    """Return in words what keeps the gate from passing, and what to keep in mind."""
    lines = []
    for ruling in report.verdict.rulings if report.verdict else ():
        if ruling.answer in {"fail", "inconclusive"}:
            place = "" if ruling.slice is None else f" in {ruling.slice}"
            lines.append(f"{ruling.metric}{place}: {ruling.answer}, {ruling.reason}")
    for result in report.evaluation.results:
        for text in _remarks(result):
            place = "" if result.slice is None else f" in {result.slice}"
            lines.append(f"{result.metric}{place}: {text}")
    return lines


def confusion_rows(figures: Figures) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and rows of the last model's confusion matrix, with changes to the first's."""
    models = list(dict.fromkeys(cell.model for cell in figures.confusion))
    counts = {(c.model, c.target, c.prediction): c.n_rows for c in figures.confusion}
    classes = list(dict.fromkeys(cell.target for cell in figures.confusion))
    rows = []
    for true in classes:
        cells = []
        for given in classes:
            now = counts[models[-1], true, given]
            change = now - counts[models[0], true, given]
            cells.append(f"{now:,} ({change:+,})" if len(models) > 1 else f"{now:,}")
        rows.append((true, *cells))
    return ("target \\ prediction", *classes), rows


def _metrics_table(report: Report) -> str:
    return markdown_table(HEADER, metric_rows(report))


def _details(report: Report) -> list[str]:
    """Return the sections that may fall away, the most important first."""
    sections = []
    lines = reasons(report)
    if lines:
        sections.append("### Why\n\n" + "\n".join(f"- {escape(line)}" for line in lines))
    if baseline_rows(report):
        sections.append(
            "### Baselines\n\n" + markdown_table(BASELINE_HEADER, baseline_rows(report))
        )
    if slice_rows(report):
        table = markdown_table(SLICE_HEADER, slice_rows(report))
        sections.append(f"### Slices, worst first\n\n{table}")
    if report.facts:
        facts = markdown_table(("", ""), list(report.facts.items()))
        sections.append(f"### Where it comes from\n\n{facts}")
    if report.reproduce:
        sections.append(f"### Make it again\n\n    {' '.join(report.reproduce.splitlines())}")
    if report.figures.confusion:
        table = markdown_table(*confusion_rows(report.figures))
        sections.append(f"### Confusion\n\n{table}")
    return sections


def _row(result: Result, ruling: Ruling | None) -> tuple[str, ...]:
    comparison = result.comparison
    margin = ruling.margin if ruling is not None else None
    return (
        result.metric,
        ABSENT if comparison is None else _number(comparison.base.value),
        _number(result.candidate.value),
        ABSENT if comparison is None else _signed(comparison.delta),
        _ends(result.candidate.interval) if comparison is None else _ends(comparison.interval),
        ABSENT if margin is None else format_number(margin, 3),
        _answer(result, ruling),
    )


def _answer(result: Result, ruling: Ruling | None) -> str:
    if ruling is not None:
        better = ", better" if ruling.improved and ruling.answer == "pass" else ""
        aside = "" if ruling.decides or ruling.answer == "too few" else " (for information)"
        return f"{SIGNS[ruling.answer]} {ruling.answer}{better}{aside}"
    if result.too_few:
        return "too few"
    comparison = result.comparison
    if comparison is None:
        return ABSENT
    return _seen(comparison)


def _seen(comparison: Comparison) -> str:
    """Return what the interval of a difference shows, in words."""
    if comparison.interval.low is None or comparison.interval.high is None:
        return "not known"
    words = {(True, False): "better", (False, True): "worse"}
    return words.get((comparison.improved, comparison.worsened), "not surely better")


def _badness(result: Result, ruling: Ruling | None) -> tuple[int, float]:
    comparison = result.comparison
    severity = _SEVERITY[ruling.answer if ruling is not None else "inconclusive"]
    if result.too_few:
        severity = _SEVERITY["too few"]
    elif comparison is not None and comparison.worsened:
        severity = min(severity, 1)
    if comparison is None or math.isnan(comparison.delta):
        return severity, math.inf
    scale = abs(comparison.base.value) or 1.0
    return severity, comparison.delta / scale


def ruling_of(report: Report, result: Result) -> Ruling | None:
    """Return what the gate says of a result, or None where it has no rule for it."""
    for ruling in report.verdict.rulings if report.verdict else ():
        if (ruling.metric, ruling.slice) == (result.metric, result.slice):
            return ruling
    return None


def _remarks(result: Result) -> list[str]:
    if result.too_few:
        return []
    interval = result.candidate.interval if result.comparison is None else (
        result.comparison.interval
    )  # fmt: skip
    return [text for text in (result.candidate.note, interval.note, interval.why_not) if text]


def _ends(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return ABSENT
    return f"{format_number(interval.low, 3)} to {format_number(interval.high, 3)}"


def _sentence(text: str) -> str:
    return escape(text[:1].upper() + text[1:])


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else format_number(value)


def _signed(value: float) -> str:
    if math.isnan(value):
        return ABSENT
    return f"+{format_number(value, 3)}" if value > 0 else format_number(value, 3)


def _p(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2g}"


def _word(text: str) -> str:
    """Return a text that cannot end the comment it stands in."""
    return "".join(c if c.isalnum() or c in "._/:@" else "_" for c in text) or ABSENT


def _json(report: Report) -> str:
    """Return the results in an HTML comment; NaN is null, and nothing in it ends the comment."""
    content = {
        "version": VERSION,
        "key": report.key,
        "sha": report.sha,
        "facts": dict(report.facts),
        "verdict": report.verdict,
        "evaluation": report.evaluation,
        "directions": {
            name: "larger" if known.get(name, task=report.evaluation.task).sign > 0 else "smaller"
            for name in dict.fromkeys(r.metric for r in report.evaluation.results)
        },
    }
    text = msgspec.json.encode(content).decode().replace(">", "\\u003e").replace("<", "\\u003c")
    return f"<!-- assay:json {text} -->"
