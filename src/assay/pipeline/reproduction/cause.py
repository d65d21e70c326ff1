"""Why a part of a run is not what its record says: what was tried, and what differs.

A part that gives something else each time is found by running it again on the same inputs. One
that is deterministic must owe the difference to something around it: variables that can be set as
recorded are tried, versions and processor are named. What is not on record stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from assay.ledger import environment as environments
from assay.ledger.environment import Environment
from assay.pipeline import compare
from assay.pipeline.reproduction.environments import HASH_SEED, Chosen
from assay.pipeline.reproduction.part import Given, Part

Kind = Literal["random", "hash_seed", "threads", "inputs", "versions", "processor", "unknown"]

LONGEST = 60.0
"""Seconds: a part that took longer is run once more at most; the rest is only named."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a part differs: `is_shown` where trying it has shown so, otherwise it may be."""

    kind: Kind
    text: str
    is_shown: bool = False


def again(part: Part, chosen: Chosen, *, tags: Mapping[str, str]) -> Given:
    """Run a part once more on the same inputs; what it made the first time stays."""
    with part.keep_aside():
        return part.do(chosen, tags=tags)


def is_same(a: Given, b: Given) -> bool:
    """Say whether a part gave the same twice, to the bit."""
    measured = compare.metrics(a.metrics, b.metrics, rtol=0)
    return a.outputs == b.outputs and compare.worst(measured) == "identical"


def of_part(
    part: Part,
    first: Given,
    second: Given,
    *,
    chosen: Chosen,
    recorded: Environment | None,
    say: Callable[[str], None],
) -> list[Cause]:
    """Return what may be the causes of a difference, the surest first.

    Parameters
    ----------
    first, second : Given
        What it gave when it was run again, and once more.
    chosen : Chosen
        The environment that both had.
    """

    def try_(other: Chosen, number: str, why: str) -> Given:
        say(f"Running '{part.name}' once more, {why}")
        return again(part, other, tags={"repetition": number})

    is_short = first.seconds <= LONGEST
    if not is_same(first, second):
        return _random(chosen, try_ if is_short else None)
    if recorded is None:
        return [Cause(kind="unknown", text="its environment was not recorded")]
    causes = [
        *_variables(part, chosen, recorded, try_ if is_short else None),
        *_versions(chosen.environment, recorded),
        *_processor(chosen.environment, recorded),
    ]
    causes.sort(key=lambda cause: not cause.is_shown)
    return causes or [
        Cause(
            kind="unknown",
            text="it gives the same each time now, and nothing that is on record differs: it may "
            "read a clock, the network, a file outside the project, or a variable",
        )
    ]


def with_inputs(causes: list[Cause], close: Sequence[str]) -> list[Cause]:
    """Add that stages before are close to their record only; what is shown goes before that."""
    if not close:
        return causes
    names = ", ".join(f"'{name}'" for name in close)
    text = f"it runs after {names}: close to the record, and not identical"
    shown = [one for one in causes if one.is_shown]
    others = [one for one in causes if not one.is_shown and one.kind != "unknown"]
    return [*shown, Cause(kind="inputs", text=text), *others]


def _random(chosen: Chosen, try_: Callable[[Chosen, str, str], Given] | None) -> list[Cause]:
    is_set = chosen.environment.software.hash_seed not in {None, "random"}
    if try_ is not None and not is_set:
        seeded = _with(chosen, {HASH_SEED: "0"})
        why = f"with {HASH_SEED}=0"
        if is_same(try_(seeded, "3", why), try_(seeded, "4", why)):
            text = (
                f"it depends on the order of a set or of hashes: with {HASH_SEED}=0 it gives the "
                "same each time"
            )
            return [Cause(kind="hash_seed", text=text, is_shown=True)]
    text = (
        "it gives something else each time it runs: a seed that is not set, a clock, the order of "
        "files or of threads"
    )
    return [Cause(kind="random", text=text, is_shown=True)]


def _variables(
    part: Part,
    chosen: Chosen,
    recorded: Environment,
    try_: Callable[[Chosen, str, str], Given] | None,
) -> list[Cause]:
    """Try the variables that are not as recorded."""
    now, then = chosen.environment, recorded
    causes = []
    seed = then.software.hash_seed
    if now.software.hash_seed != seed:
        text = f"{HASH_SEED} is {now.software.hash_seed or 'not set'}, recorded {seed or 'unset'}"
        causes.append(_tried(part, chosen, {HASH_SEED: seed}, "hash_seed", text, try_))
    differing = {
        name: then.host.threads.get(name)
        for name in sorted({*now.host.threads, *then.host.threads})
        if now.host.threads.get(name) != then.host.threads.get(name)
    }
    if differing:
        text = "threads: " + ", ".join(
            f"{name} is {now.host.threads.get(name, 'not set')}, recorded {value or 'unset'}"
            for name, value in differing.items()
        )
        causes.append(_tried(part, chosen, differing, "threads", text, try_))
    if now.host.cores != then.host.cores:
        text = f"threads: {now.host.cores} cores, recorded {then.host.cores}"
        causes.append(Cause(kind="threads", text=text))
    return causes


def _tried(
    part: Part,
    chosen: Chosen,
    variables: Mapping[str, str | None],
    kind: Kind,
    text: str,
    try_: Callable[[Chosen, str, str], Given] | None,
) -> Cause:
    if try_ is None:
        return Cause(kind=kind, text=text)
    found = try_(_with(chosen, variables), "3", f"with {', '.join(variables)} as recorded")
    if not is_same(found, part.recorded):
        return Cause(kind=kind, text=text)
    return Cause(kind=kind, text=f"{text}; as recorded, the result is the same", is_shown=True)


def _versions(now: Environment, then: Environment) -> list[Cause]:
    same_seed = msgspec.structs.replace(now.software, hash_seed=then.software.hash_seed)
    words = environments.software_differences(same_seed, then.software)
    if not words:
        return []
    more = f" and {len(words) - 8} more" if len(words) > 8 else ""
    return [Cause(kind="versions", text=f"other versions: {'; '.join(words[:8])}{more}")]


def _processor(now: Environment, then: Environment) -> list[Cause]:
    same = msgspec.structs.replace(now.host, threads=then.host.threads, cores=then.host.cores)
    words = environments.host_differences(same, then.host)
    return [Cause(kind="processor", text=f"other machine: {'; '.join(words)}")] if words else []


def _with(chosen: Chosen, variables: Mapping[str, str | None]) -> Chosen:
    return msgspec.structs.replace(chosen, variables={**chosen.variables, **variables})
