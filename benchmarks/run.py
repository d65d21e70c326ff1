"""The command line of the benchmarks: ask the questions, and print a table, JSON or a page."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.render.tables import text_table
from benchmarks import Question, Result, Sizes, answer, programs, table


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, on which machine, under which load."""

    machine: dict[str, str | int]
    sizes: Sizes
    loads: tuple[float, float]
    results: dict[str, list[Result]]


def main(questions: Sequence[Question], arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    given = _parser().parse_args(arguments)
    sizes = Sizes(
        n_files=given.files,
        file_size=given.file_size,
        large_size=given.large_size,
        n_many=tuple(given.many),
        n_stages=given.stages,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="assay-bench-", dir=given.folder) as folder:
            answers = ask(questions, Path(folder), sizes=sizes, rounds=given.rounds)
            if given.markdown:
                from benchmarks.cost import costs
                from benchmarks.page import page

                print(page(questions, answers, costs(Path(folder) / "costs")), end="")
                return 0
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps(document(answers), indent=2))
    else:
        print(text(questions, answers))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure beside the real DVC.")
    parser.add_argument(
        "--rounds", type=int, help="rounds of each case; each question has its own"
    )
    parser.add_argument(
        "--files", type=int, default=Sizes().n_files, help="(default: %(default)s)"
    )
    parser.add_argument("--file-size", type=int, default=Sizes().file_size, help="bytes")
    parser.add_argument("--large-size", type=int, default=Sizes().large_size, help="bytes")
    parser.add_argument(
        "--many", type=int, nargs="*", default=Sizes().n_many, help="how many are very many files"
    )
    parser.add_argument(
        "--stages", type=int, default=Sizes().n_stages, help="(default: %(default)s)"
    )
    parser.add_argument("--folder", help="where to work: 10 GB with the default sizes")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print every round as JSON")
    form.add_argument("--markdown", action="store_true", help="print docs/benchmarks.md")
    return parser


def ask(
    questions: Sequence[Question], folder: Path, *, sizes: Sizes, rounds: int | None
) -> Answers:
    """Answer all questions, each in a folder of its own."""
    before = programs.load()
    results = {}
    for question in questions:
        place = folder / question.name
        place.mkdir()
        results[question.name] = answer(question, place, sizes=sizes, rounds=rounds)
        shutil.rmtree(place)
    return Answers(
        machine=programs.machine(folder),
        sizes=sizes,
        loads=(before, programs.load()),
        results=results,
    )


def text(questions: Sequence[Question], answers: Answers) -> str:
    """Return the tables for a terminal."""
    parts = [surroundings(answers)]
    for question in questions:
        results = answers.results[question.name]
        parts.append(
            f"{question.title}{amount(question, answers.sizes)}, {rounds(results)}\n"
            + text_table(table.HEADER, table.rows(results))
        )
    return "\n\n".join(parts)


def surroundings(answers: Answers) -> str:
    """Return the line that says where and when."""
    machine, (before, after) = answers.machine, answers.loads
    return (
        f"Python {machine['python']}, DVC {machine['dvc']}, {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['system']}, {machine['file_system']}, "
        f"load {before} before and {after} after"
    )


def amount(question: Question, sizes: Sizes) -> str:
    """Return how much a question works on, where it depends on sizes."""
    if question.name != "data":
        return ""
    return f": {sizes.n_files:,} files of {sizes.file_size:,} bytes"


def rounds(results: Sequence[Result]) -> str:
    """Return how often each case was measured."""
    counts = {len(result.ours) for result in results}
    least = f"{min(counts)} to " if len(counts) > 1 else ""
    return f"{least}{max(counts)} round{'' if max(counts) == 1 else 's'}"


def document(answers: Answers) -> dict[str, Any]:
    """Return all that was measured, with stable keys."""
    return {
        "machine": answers.machine,
        "sizes": msgspec.to_builtins(answers.sizes),
        "load": {"before": answers.loads[0], "after": answers.loads[1]},
        "questions": {name: table.document(found) for name, found in answers.results.items()},
    }
