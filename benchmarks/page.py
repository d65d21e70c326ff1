"""The page docs/benchmarks.md: how it is measured, the tables, and what holds us back."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from assay.render.markdown import markdown_table
from benchmarks import Question, Result, table
from benchmarks.cost import Cost
from benchmarks.run import Answers, amount, surroundings

HEAD = """\
# How fast it is

This page is written by a command, on one machine, in one go; nobody edits the figures:

    python -m benchmarks --markdown > docs/benchmarks.md

`make bench` prints the same tables for your own machine.

## How it is measured

- What is timed is a whole process, from its start to its end, of the installed console scripts `assay` and `dvc`, with their bytecode compiled.
- Floor, ours and DVC take turns, round by round, so that a busy minute hits all three; the tables show medians. One round more, at the start, does not count.
- Each answer is checked in each round: the `.dvc` file and every object against hashes that neither tool made, the files that come back, the lock that must not change. A wrong answer stops the benchmark.
- Between rounds, untimed, the state before the command is brought back, and what is unwritten is written to the disk. Each tool has a project of its own, with the same content.
- A *floor* is what no program that does the job can be under: a Python that does nothing, the same bytes hashed in one thread, the same files copied by `cp -r`. Where a case has several, the highest counts.
- `dvc/ours` above 1 means that we are faster, `ours/floor` of 1 would be as fast as can be.
- DVC runs without analytics, and with a site cache of its own. Files were just written, so they are read from memory: a cold disk slows both alike.
"""


def page(questions: Sequence[Question], answers: Answers, costs: Sequence[Cost]) -> str:
    """Return the whole page."""
    parts = [HEAD, f"Measured on {surroundings(answers)}.\n"]
    for question in questions:
        parts.append(_section(question, answers))
    parts.append(_limits(answers, costs))
    return "\n".join(parts)


def _section(question: Question, answers: Answers) -> str:
    results = answers.results[question.name]
    rounds = f"{len(results[0].ours)} rounds"
    shown = markdown_table(table.HEADER, table.rows(results))
    return (
        f"## {question.title}{amount(question, answers.sizes)}\n\n"
        f"{question.about}\nMedians of {rounds}.\n\n{shown}\n{_other_floors(results)}"
    )


def _other_floors(results: Sequence[Result]) -> str:
    """Name the floors that were measured but are not the highest of their case."""
    lower = [
        f"{name} {table.ms(seconds)} ms ({result.name})"
        for result in results
        for name, seconds in result.floors.items()
        if name != result.floor
    ]
    return f"\nLower floors of the same cases: {', '.join(lower)}.\n" if lower else ""


def _limits(answers: Answers, costs: Sequence[Cost]) -> str:
    everything = [result for results in answers.results.values() for result in results]
    lost = [r.name for r in everything if r.peer_over_ours < 1]
    missed = [r.name for r in everything if r.reached is False]
    far = sorted(everything, key=lambda r: -r.ours_over_floor)[:3]
    farthest = ", ".join(f"`{r.name}` ({r.ours_over_floor:.1f} floors)" for r in far)
    return f"""\
## What holds us back

- Slower than DVC: {_names(lost)}.
- Aims that are missed: {_names(missed)}.
- Farthest from the floor: {farthest}.
- The interpreter: {_python(everything)} of each command go by before its first line of ours is read.
- Imports and git, before any work is done. Imports as `python -X importtime` sees them, the best of five, by package; it counts along, so they are too high by a part. Git by its own clock, which starts after its process.

{markdown_table(("command", "modules", "imports ms", "of these", "git processes", "git ms"), [_cost(c) for c in costs])}

- Files: for each of many small files there is a handful of system calls (open, read, create, write, rename), and Python's part in each is larger than the kernel's. The bytes are not what costs.
- Durability: what is added or pushed is on the disk before it gets its name, in one `syncfs` for all of it. DVC does not wait for that.
"""


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) if names else "none"


def _python(results: Sequence[Result]) -> str:
    rounds = [s for r in results for s in r.floors.get("python -c pass", [])]
    return f"{statistics.median(rounds) * 1000:.0f} ms" if rounds else "some ms"


def _cost(cost: Cost) -> list[str]:
    return [
        cost.command,
        str(cost.n_modules),
        f"{sum(cost.imports.values()):.1f}",
        ", ".join(f"{name} {ms:.1f}" for name, ms in cost.imports.items() if ms >= 0.5),
        str(cost.n_git),
        f"{cost.git_ms:.1f}",
    ]
