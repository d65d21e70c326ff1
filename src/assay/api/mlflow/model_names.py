"""What MLflow lets a model, an alias and a stage be called, and tags of the registry hold.

Source: `mlflow.utils.validation` 3.17, with its messages. `assay.ledger.model_names` has the rules
of our own commands.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence

from assay.api.mlflow import keys
from assay.api.mlflow.asks import Tag
from assay.api.mlflow.errors import invalid
from assay.ledger.model_names import STAGES, is_own_path

LONGEST_VALUE, LONGEST_ALIAS = 100_000, 255


def check_model(name: str, *, parameter: str = "name") -> None:
    """Refuse a name that no model can have."""
    if not name.strip():
        raise invalid(f"Missing value for required parameter '{parameter}'.")
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    if not is_own_path(name):
        raise invalid(
            f"Invalid value {json.dumps(name)} for parameter 'name' supplied: Names may be "
            "treated as files in certain cases, and must not resolve to other names when treated "
            f"as such. This name would resolve to {posixpath.normpath(name)!r}"
        )


def check_alias(alias: str) -> None:
    """Refuse what no alias can be called."""
    if not re.fullmatch(r"[\w-]+", alias):
        raise invalid(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores "
            "(_), and dashes (-)."
        )
    if len(alias) > LONGEST_ALIAS:
        raise keys.too_long("Registered model alias name", LONGEST_ALIAS)


def check_new_alias(alias: str) -> None:
    """Refuse an alias that could be taken for a version."""
    check_alias(alias)
    if alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if re.fullmatch(r"[vV]\d+", alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")


def check_stage(stage: str) -> str:
    """Return a stage as MLflow writes it.

    Examples
    --------
    >>> check_stage("production")
    'Production'
    """
    found = next((one for one in STAGES if one.lower() == stage.lower()), None)
    if found is None:
        raise invalid(
            f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}."
        )
    return found


def check_number(version: str) -> int:
    """Return the number of a version; -1 where none can have it."""
    try:
        number = int(version)
    except ValueError:
        raise invalid(f"Parameter 'version' must be an integer, got '{version}'.") from None
    return number if 0 <= number < 2**31 else -1


def check_tags(tags: Sequence[Tag]) -> dict[str, str]:
    """Return tags by key, the last of each."""
    keys.check_bound("tags", len(tags))
    found = {}
    for tag in tags:
        keys.check(tag.key)
        if len(tag.value) > LONGEST_VALUE:
            raise keys.too_long("value", LONGEST_VALUE)
        found[tag.key] = tag.value
    return found
