"""What records name, noted as they go by: who streams them keeps names, and no histories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from assay.ledger.exchange.records import ModelRecord, Named, Record, RunRecord


class Passed:
    """The files that records named, so far.

    Attributes
    ----------
    files : list of Named
        Our own objects that they name.
    artifacts : list of tuple
        What a run or a logged model keeps, one for each path: its id, and the SHA-256.
    """

    def __init__(self) -> None:
        self.files: list[Named] = []
        self.artifacts: list[tuple[str, str]] = []

    def noting(self, found: Iterable[Record]) -> Iterator[Record]:
        """Go through records, and note what each names before it is handed on."""
        for record in found:
            self.add(record)
            yield record

    def add(self, record: Record) -> None:
        """Note what a record names."""
        if isinstance(record, RunRecord | ModelRecord):
            self.files += record.files
            self.artifacts += [
                (record.id, one.oid.removeprefix("sha256:")) for one in record.artifacts
            ]
