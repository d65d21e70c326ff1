"""Where a command's time goes before its own work: modules that it imports, git that it calls."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks import Wrong, chains
from benchmarks.programs import ASSAY, Side, sides

COMMANDS = (("--version",), ("--help",), ("status",), ("repro",))
_LINE = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)$")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a command does besides what it was asked for.

    Attributes
    ----------
    n_modules : int
        Modules it imports that `python -c pass` does not.
    imports : dict
        Milliseconds that those take by themselves, by top-level package, "standard library" for
        all of Python's own. The interpreter counts along, so that all are somewhat too high.
    n_git : int
        Git processes it starts.
    git_ms : float
        How long those take by their own clock, which starts after the process.
    """

    command: str
    n_modules: int
    imports: dict[str, float]
    n_git: int
    git_ms: float


def costs(folder: Path, *, rounds: int = 5) -> list[Cost]:
    """Look at some commands in a project with two stages in which nothing is to be done."""
    side, _ = sides(folder)
    chains.make_chains(side, lengths=[2])
    start = _imports(side, "-c", "pass")
    found = []
    for arguments in COMMANDS:
        seen = [_imports(side, "-m", "assay", *arguments) for _ in range(rounds + 1)][1:]
        best = min(seen, key=lambda taken: sum(taken.values()))
        own = {name: us for name, us in best.items() if name not in start}
        git = _git(side, arguments)
        found.append(
            Cost(
                command=" ".join(arguments),
                n_modules=len(own),
                imports=by_package(own),
                n_git=len(git),
                git_ms=sum(git) * 1000,
            )
        )
    return found


def by_package(own: Mapping[str, int]) -> dict[str, float]:
    """Sum microseconds by module to milliseconds by package, the largest first.

    Examples
    --------
    >>> by_package({"click.core": 1500, "click": 500, "re": 250})
    {'click': 2.0, 'standard library': 0.25}
    """
    sums: Counter[str] = Counter()
    for name, microseconds in own.items():
        package = name.partition(".")[0]
        is_own = package in sys.stdlib_module_names
        sums["standard library" if is_own else package.lstrip("_")] += microseconds
    return {package: us / 1000 for package, us in sums.most_common()}


def _imports(side: Side, *arguments: str) -> dict[str, int]:
    """Run Python and return the microseconds of each import without those that it causes."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=side.project,
        env=side.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Wrong(done.stderr.strip()[-500:], where=" ".join(arguments))
    matches = map(_LINE.match, done.stderr.splitlines())
    return {match[2]: int(match[1]) for match in matches if match}


def _git(side: Side, arguments: tuple[str, ...]) -> list[float]:
    """Return the seconds of each git process that a command starts."""
    trace = side.folder / "git.json"
    trace.unlink(missing_ok=True)
    subprocess.run(
        [ASSAY, *arguments],
        cwd=side.project,
        env={**side.environ, "GIT_TRACE2_EVENT": str(trace)},
        capture_output=True,
        check=True,
    )
    if not trace.exists():
        return []
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    return [event["t_abs"] for event in events if event["event"] == "exit"]
