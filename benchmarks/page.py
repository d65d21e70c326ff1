"""The page docs/benchmarks.md: the tables, what holds us back, and how it is measured.

The prose is in `page.md`; every figure, and who is slower than whom, comes out of the measurement.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from assay.render.markdown import markdown_table
from benchmarks import Question, Result, table
from benchmarks.cost import Cost
from benchmarks.run import Answers, amount, rounds, surroundings

COST_HEADER = ("command", "modules", "imports ms", "of these", "git processes", "git ms")


def page(questions: Sequence[Question], answers: Answers, costs: Sequence[Cost]) -> str:
    """Return the whole page."""
    results = [result for found in answers.results.values() for result in found]
    farthest = sorted(results, key=lambda r: -r.ours_over_floor)[:3]
    return Template(Path(__file__).with_name("page.md").read_text()).substitute(
        surroundings=surroundings(answers),
        sections="\n".join(_section(question, answers) for question in questions),
        lost=_names(r.name for r in results if r.peer_over_ours < 1),
        missed=_names(r.name for r in results if r.reached is False),
        farthest=", ".join(f"{_names([r.name])} ({r.ours_over_floor:.1f}x)" for r in farthest),
        python=_python(results),
        costs=markdown_table(COST_HEADER, [_cost_row(cost) for cost in costs]),
    )


def _section(question: Question, answers: Answers) -> str:
    results = answers.results[question.name]
    shown = markdown_table(table.HEADER, table.rows(results))
    return (
        f"## {question.title}{amount(question, answers.sizes)}\n\n"
        f"{question.about}\nMedians of {rounds(results)}.\n\n"
        f"{shown}\n{_lower_floors(results)}"
    )


def _lower_floors(results: Sequence[Result]) -> str:
    """Name the floors that were measured but are not the highest of their case."""
    lower = [
        f"{name} {table.ms(seconds)} ms (`{result.name}`)"
        for result in results
        for name, seconds in result.floors.items()
        if name != result.floor
    ]
    return f"\nLower floors: {', '.join(lower)}.\n" if lower else ""


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _python(results: Sequence[Result]) -> str:
    seconds = [s for r in results for s in r.floors.get("python -c pass", [])]
    return f"{statistics.median(seconds) * 1000:.0f} ms" if seconds else "some milliseconds"


def _cost_row(cost: Cost) -> list[str]:
    return [
        cost.command,
        str(cost.n_modules),
        f"{sum(cost.imports.values()):.1f}",
        ", ".join(f"{name} {ms:.1f}" for name, ms in cost.imports.items() if ms >= 0.5),
        str(cost.n_git),
        f"{cost.git_ms:.1f}",
    ]
