"""Why a part of a run is not what its record says: what was tried, and what differs.

What a part gives otherwise each time is found by running it again on the same inputs. What it
gives the same each time must owe a difference to something around it: variables that can be set
as recorded are tried, versions and processor are named. What is not on record stays unknown. A
part that takes long is not run for that unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

import msgspec

from assay.ledger import environment as environments
from assay.ledger.environment import Environment
from assay.pipeline import compare
from assay.pipeline.compare import Compared
from assay.pipeline.reproduction.environments import HASH_SEED, Chosen
from assay.pipeline.reproduction.part import Given, Part

Kind = Literal["random", "hash_seed", "threads", "inputs", "versions", "processor", "unknown"]

LONGEST = 60.0
"""Seconds: a part that took longer is run once only, unless it is asked for."""

What = tuple[Literal["output", "metric"], str]
"""An output or a metric, by its name."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a part differs: `is_shown` where trying it has shown so, otherwise it may be."""

    kind: Kind
    text: str
    is_shown: bool = False


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """What a part gave the second time, and what it ran in.

    Attributes
    ----------
    is_seeded : bool
        Whether that was a hash seed that the first time had not.
    """

    given: Given
    chosen: Chosen
    is_seeded: bool


Say = Callable[[str], None]


def is_long(part: Part, first: Given) -> bool:
    """Say whether a part takes so long that it is not run for its cause unasked."""
    return max(part.recorded.seconds, first.seconds) > LONGEST


def second(part: Part, chosen: Chosen, *, may_try: bool, what: str, say: Say) -> Second:
    """Run a part a second time on the same inputs; what it made the first time stays.

    It gets a fixed hash seed, where it has none: if it gives the same then, no order of a set
    matters; if not, a third time says whether that is why.

    Parameters
    ----------
    may_try : bool
        Whether it may be run a third time.
    what : str
        What it is called: 'stage' or 'script'.
    """
    is_seeded = may_try and chosen.environment.software.hash_seed in {None, "random"}
    how = f"a second time,{f' with {HASH_SEED}=0,' if is_seeded else ''}"
    say(f"Running {what} '{part.name}' {how} to see whether it is deterministic")
    env = _with(chosen, {HASH_SEED: "0"}) if is_seeded else chosen
    return Second(given=_again(part, env, "2"), chosen=env, is_seeded=is_seeded)


def _again(part: Part, chosen: Chosen, number: str) -> Given:
    with part.keep_aside():
        return part.do(chosen, tags={"repetition": number})


def different(a: Given, b: Given) -> set[What]:
    """Return what a part did not give the same twice, to the bit."""
    outputs = {*a.outputs, *b.outputs}
    found: set[What] = {("output", o) for o in outputs if a.outputs.get(o) != b.outputs.get(o)}
    measured = compare.metrics(a.metrics, b.metrics, rtol=0)
    return found | {("metric", one.name) for one in measured if one.sameness != "identical"}


def not_as_recorded(outputs: Sequence[Compared], metrics: Sequence[Compared]) -> set[What]:
    """Return what is not as recorded, beyond the tolerance."""
    found: set[What] = {("output", one.name) for one in outputs if one.sameness == "differs"}
    return found | {("metric", one.name) for one in metrics if one.sameness == "differs"}


def of_part(
    part: Part,
    first: Given,
    then: Second,
    *,
    unlike: AbstractSet[What],
    chosen: Chosen,
    recorded: Environment | None,
    may_try: bool,
    say: Say,
) -> list[Cause]:
    """Return what may be the causes of a difference, the surest first.

    A part is run three times at most. What gives the same each time now, and not what is on
    record, has a cause of its own, also where something else is random.

    Parameters
    ----------
    first, then : Given, Second
        What it gave when it was run again, and once more.
    unlike : set of What
        What is not as recorded.
    chosen : Chosen
        The environment of the first time.
    may_try : bool
        Whether it may be run a third time.
    """

    def try_(env: Chosen, why: str) -> Given:
        say(f"Running '{part.name}' a third time, {why}")
        return _again(part, env, "3")

    changing = different(first, then.given)
    if not changing:
        seed = {HASH_SEED} if then.is_seeded else set()  # it has just been shown not to matter
        return _around(
            chosen, recorded, without=seed, subject="it", matches=_matching(part, try_, may_try)
        )
    is_order = False
    if then.is_seeded:
        moving = different(then.given, try_(then.chosen, f"with {HASH_SEED}=0, too"))
        is_order = not moving
        changing |= moving
    same = unlike - changing
    subject = _names(changing) if same else "it"
    causes = [_order(subject) if is_order else _random(subject)]
    if same:
        seed = {HASH_SEED} if then.is_seeded else set()
        causes += _around(chosen, recorded, without=seed, subject=_names(same), matches=None)
    return causes


def untried(chosen: Chosen, recorded: Environment | None) -> list[Cause]:
    """Return what is not as recorded around a part that was run once: it may be the cause."""
    causes = [] if recorded is None else _around(chosen, recorded, subject="it", matches=None)
    return [one for one in causes if one.kind != "unknown"]


def _names(some: AbstractSet[What]) -> str:
    """Return what is meant in words: outputs, or metrics where there is none."""
    outputs = sorted(name for kind, name in some if kind == "output")
    names = outputs or sorted(name for _, name in some)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    shown = ", ".join(f"'{name}'" for name in names[:4]) + more
    return shown if len(names) == 1 else f"each of {shown}"


def _order(subject: str) -> Cause:
    text = (
        f"{subject} depends on the order of a set or of hashes: with {HASH_SEED}=0 {subject} "
        "gives the same each time"
    )
    return Cause(kind="hash_seed", text=text, is_shown=True)


def _random(subject: str) -> Cause:
    text = (
        f"{subject} gives something else each time it runs: a seed that is not set, a clock, the "
        "order of files or of threads"
    )
    return Cause(kind="random", text=text, is_shown=True)


def _matching(
    part: Part, try_: Callable[[Chosen, str], Given], may_try: bool
) -> Callable[[Chosen, str], bool] | None:
    if not may_try:
        return None
    return lambda env, why: not different(try_(env, why), part.recorded)


def _around(
    chosen: Chosen,
    recorded: Environment | None,
    *,
    without: AbstractSet[str] = frozenset(),
    subject: str,
    matches: Callable[[Chosen, str], bool] | None,
) -> list[Cause]:
    """Return what is not as recorded around a part that gives the same each time now.

    Parameters
    ----------
    without : set of str
        Variables that do not matter.
    subject : str
        What it is that gives the same; 'it' is the part as a whole.
    matches : callable or None
        Tells whether the part gives what is on record in another environment; None asks nothing.
    """
    if recorded is None:
        return [Cause(kind="unknown", text="its environment was not recorded")]
    causes = [
        *_variables(chosen, recorded, without, matches),
        *_versions(chosen.environment, recorded),
        *_processor(chosen.environment, recorded),
    ]
    causes.sort(key=lambda cause: not cause.is_shown)
    if causes and subject != "it":
        words = f"{subject} gives the same each time now; "
        causes = [msgspec.structs.replace(one, text=words + one.text) for one in causes]
    return causes or [
        Cause(
            kind="unknown",
            text=f"{subject} gives the same each time now, and nothing that is on record differs: "
            "it may read a clock, the network, a file outside the project, or a variable",
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


def _variables(
    chosen: Chosen,
    recorded: Environment,
    without: AbstractSet[str],
    matches: Callable[[Chosen, str], bool] | None,
) -> list[Cause]:
    """Name the variables that are not as recorded, and try all of them at once."""
    now, then = chosen.environment, recorded
    found: list[tuple[Kind, str]] = []
    differing: dict[str, str | None] = {}
    seed = then.software.hash_seed
    if now.software.hash_seed != seed and HASH_SEED not in without:
        differing[HASH_SEED] = seed
        text = f"{HASH_SEED} is {now.software.hash_seed or 'not set'}, recorded {seed or 'unset'}"
        found.append(("hash_seed", text))
    threads = {
        name: then.host.threads.get(name)
        for name in sorted({*now.host.threads, *then.host.threads})
        if now.host.threads.get(name) != then.host.threads.get(name)
    }
    if threads:
        differing |= threads
        text = ", ".join(
            f"{name} is {now.host.threads.get(name, 'not set')}, recorded {value or 'unset'}"
            for name, value in threads.items()
        )
        found.append(("threads", f"threads: {text}"))
    causes = [Cause(kind=kind, text=text) for kind, text in found]
    if found and matches is not None:
        env = _with(chosen, differing)
        if matches(env, f"with {', '.join(differing)} as recorded"):
            text = f"{'; '.join(text for _, text in found)}; as recorded, the result is the same"
            causes = [Cause(kind=found[-1][0], text=text, is_shown=True)]
    if now.host.cores != then.host.cores:
        text = f"threads: {now.host.cores} cores, recorded {then.host.cores}"
        causes.append(Cause(kind="threads", text=text))
    return causes


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
