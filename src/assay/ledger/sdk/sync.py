"""Send all that waits in the spool of a project, to where each file of it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.ledger import sinks
from assay.ledger.sdk import spool
from assay.ledger.sdk.replay import Report, put_aside, replay

if TYPE_CHECKING:
    from assay.ledger.sdk.places import Place
    from assay.ledger.sinks import Sink


def sync(place: Place) -> Report:
    """Send what waits, and return what became of it; a file that a process writes to is left.

    What belongs to another ledger or hub than the present one goes there; the present token and
    password go to the present one only.
    """
    present = sinks.sink_of(place.where, objects=place.objects, token=place.token)
    places, damaged = _places(place)
    report = Report(problems=damaged, damaged=damaged)
    for to in sorted(places):
        found = present
        if to != present.name:
            found = sinks.sink_of(to, objects=place.objects)
        report = _joined(report, _sent(place, found, to=to))
    return report


def _places(place: Place) -> tuple[set[str], tuple[str, ...]]:
    """Return where the files belong that nobody writes to, and what is said of damaged ones."""
    found, damaged = set(), []
    for path in spool.files(place.spool):
        try:
            with spool.claimed(path) as left:
                if left is not None:
                    found.add(left.header.to)
        except spool.Damaged as error:
            damaged.append(put_aside(path, error))
        except Error as error:
            damaged.append(str(error))
    return found, tuple(damaged)


def _sent(place: Place, sink: Sink, *, to: str) -> Report:
    try:
        return replay(place.spool, sink.send, to=to)
    except Error as error:
        return Report(problems=(str(error),))
    finally:
        sink.rest()


def _joined(a: Report, b: Report) -> Report:
    return Report(
        sent=a.sent + b.sent,
        refused=a.refused + b.refused,
        problems=tuple(dict.fromkeys(a.problems + b.problems)),
        damaged=a.damaged + b.damaged,
    )


def waiting(place: Place) -> list[str]:
    """Return the names of the files that still wait."""
    return [path.name for path in spool.files(place.spool)]
