"""Tags of models and versions: those that people set, and on versions those of Assay's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import NotFound, Usage, did_you_mean
from assay.deploy.verdicts import VERDICT
from assay.ledger import models
from assay.ledger.models import Model, Version

if TYPE_CHECKING:
    from assay.ledger.database import Ledger

METRICS = "metrics"
"""The tag of a version with its metrics as they were when it was registered, in JSON."""
OWN = frozenset({METRICS, VERDICT, "gate", "comparison"})
"""Tags of versions that Assay keeps: what is shown of metrics and of the gate."""


def free_tags(found: Model | Version) -> dict[str, str]:
    """Return the tags of a model or a version without those of Assay's own."""
    own = OWN if isinstance(found, Version) else frozenset()
    return {key: value for key, value in found.tags.items() if key not in own}


def metrics_of(version: Version) -> dict[str, Any] | None:
    """Return the metrics that a version was registered with; None where it says nothing of them.

    Anybody may set a tag of that name: what is no mapping in it is none of ours.
    """
    try:
        return msgspec.json.decode(version.tags[METRICS], type=dict[str, Any])
    except (KeyError, msgspec.MsgspecError):
        return None


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """What is tagged, by its name, and its tags as they are now, without those of Assay's own."""

    name: str
    tags: dict[str, str]


def change_tags(
    ledger: Ledger, name: str, *, tags: dict[str, str], remove: Sequence[str] = ()
) -> Tagged:
    """Set tags of a model or a version, and take others away; all or nothing.

    Raises
    ------
    NotFound
        If a tag that is to go is not there.
    Usage
        If a key is blank, or is set and taken away.
    """
    found = models.find_named(ledger, name)
    own = OWN if isinstance(found, Version) else frozenset()
    free = free_tags(found)
    for key in (*tags, *remove):
        if key in own:
            hint = "name it otherwise" if key in tags else None
            raise Usage(f"the tag '{key}' is kept by Assay itself", hint=hint)
        if not key.strip():
            raise Usage("a tag has no key", hint="write KEY=VALUE, or --remove KEY")
        if key in tags and key in remove:
            raise Usage(f"the tag '{key}' is set and removed", hint="give one of the two")
        if key in remove and key not in free:
            known = ", ".join(f"'{one}'" for one in free) or "none"
            hint = did_you_mean(key, free) or f"its tags are {known}"
            raise NotFound(f"{found.name} has no tag '{key}'", hint=hint)
    models.change_tags(ledger, found.name, tags=tags, remove=remove)
    now = models.find_named(ledger, name)
    return Tagged(name=now.name, tags=free_tags(now))
