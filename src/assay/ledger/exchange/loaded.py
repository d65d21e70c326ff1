"""What became of records that `assay.ledger.exchange.loading` wrote into a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.ledger.exchange.records import Named


class Loaded:
    """What loading did, so far.

    Attributes
    ----------
    new, new_models, changed : list of str
        The runs, and the logged models, that are here now; those of both that were here and are
        not as they were.
    parts : set of str
        Those of the runs that are a part of another.
    purged : list of str
        The runs that were left out since they were purged here.
    buried : list of str
        The runs that are gone for good elsewhere, of which this ledger now knows.
    runs, models : dict
        When those last changed of which the ledger now holds just what the record says, by id.
    files : list of Named
        Our own objects that the records name.
    refused : list of str
        What was left out, and why.
    """

    def __init__(self) -> None:
        self.new: list[str] = []
        self.new_models: list[str] = []
        self.changed: list[str] = []
        self.parts: set[str] = set()
        self.purged: list[str] = []
        self.buried: list[str] = []
        self.runs: dict[str, int] = {}
        self.models: dict[str, int] = {}
        self.files: list[Named] = []
        self.refused: list[str] = []

    def add(self, other: Loaded) -> None:
        """Take in what was done besides."""
        for name, found in vars(other).items():
            mine = getattr(self, name)
            if isinstance(found, list):
                mine += found
            else:
                mine |= found
