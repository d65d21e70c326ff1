"""Which stage of a plan may begin next: the first one in order whose needs are all done."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from assay.project.stages import Stage


class Schedule:
    """Gives out the stages of a plan, each once.

    Parameters
    ----------
    stages : sequence of Stage
        In order; of those that may begin, the first one does.
    upstream : mapping
        What each of them waits for, by address.
    """

    def __init__(self, stages: Sequence[Stage], upstream: Mapping[str, Sequence[str]]) -> None:
        self._stages = list(stages)
        self._places = {stage.address: place for place, stage in enumerate(stages)}
        self._needs = {a: {n for n in upstream[a] if n in self._places} for a in self._places}
        self._downstream: dict[str, list[str]] = {address: [] for address in self._places}
        for address, needs in self._needs.items():
            for need in needs:
                self._downstream[need].append(address)
        self._ready = [
            self._places[address] for address, needs in self._needs.items() if not needs
        ]
        heapq.heapify(self._ready)
        self._dropped: set[str] = set()

    def next(self) -> Stage | None:
        """Return the next stage that may begin, or None as long as there is none."""
        while self._ready:
            stage = self._stages[heapq.heappop(self._ready)]
            if stage.address not in self._dropped:
                return stage
        return None

    def done(self, address: str) -> None:
        """Let those begin that waited for a stage."""
        for waiting in self._downstream[address]:
            self._needs[waiting].discard(address)
            if not self._needs[waiting]:
                heapq.heappush(self._ready, self._places[waiting])

    def drop(self, address: str) -> list[str]:
        """Leave out what depends on a stage; returns what was left out by that, in order."""
        todo, found = [address], set[str]()
        while todo:
            for below in self._downstream[todo.pop()]:
                if below not in found | self._dropped:
                    found.add(below)
                    todo.append(below)
        self._dropped |= found
        return sorted(found, key=self._places.__getitem__)

    def place(self, address: str) -> int:
        """Return where a stage stands in the plan."""
        return self._places[address]
