"""What names and values of MLflow's may be. Source: MLflow's `utils/validation.py`.

Long values of parameters and tags are cut, as MLflow's server does unless it is told otherwise.
"""

from __future__ import annotations

import functools
import json
import posixpath
import re
from collections import Counter
from collections.abc import Sequence

from assay.api.mlflow.errors import Refused, invalid

LONGEST_KEY = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_EXPERIMENT_TAG = 20_000
LONGEST_EXPERIMENT_NAME = 500
LONGEST_LOCATION = 2048
MOST_METRICS, MOST_PARAMS, MOST_TAGS, MOST_ENTITIES = 1000, 100, 100, 1000
MOST_NEW = 1000
"""Tags, or parameters, of something new: MLflow's clients send some ten, and what a user adds."""

_FORM = re.compile(r"[/\w.\- :]*")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), "
    "spaces ( ), colon(:) and slashes (/)."
)
_DIGITS = re.compile(r"-?\d{1,18}")


def check(key: str, *, where: str = "key", what: str = "key") -> str:
    """Return the key of a metric, parameter or tag, if it can be one.

    Raises
    ------
    Refused
        If it has other characters, is no path of its own, or is too long.
    """
    problem = _problem(key)
    if problem is not None:
        raise invalid(
            f"Invalid value {json.dumps(key)} for parameter '{where}' supplied: {problem}"
        )
    if len(key) > LONGEST_KEY:
        raise too_long(what, LONGEST_KEY)
    return key


def check_bound(what: str, n_found: int) -> None:
    """Refuse to make something with too many tags or parameters; MLflow has no bound there."""
    if n_found > MOST_NEW:
        raise invalid(
            f"A request can name at most {MOST_NEW} {what}. Got {n_found} {what}. Please set the "
            "others in further requests"
        )


def check_once(given: Sequence[str]) -> None:
    """Refuse tags of something new of which one is given twice, as MLflow's database does."""
    check_bound("tags", len(given))
    if len(set(given)) == len(given):
        return
    twice = next(key for key, n in Counter(given).items() if n > 1)
    raise Refused("BAD_REQUEST", f"The tag {twice!r} is given twice; give it once")


def too_long(what: str, most: int) -> Refused:
    """Return the error of a text that is too long."""
    return invalid(f"'{what}' exceeds the maximum length of {most} characters")


def experiment_number(text: str) -> int:
    """Return the number that an experiment's id stands for; one that no experiment has, if large.

    Raises
    ------
    Refused
        If it is no number.

    Examples
    --------
    >>> experiment_number("12"), experiment_number("9" * 30)
    (12, -1)
    """
    if _DIGITS.fullmatch(text):
        return int(text)
    if re.fullmatch(r"\d+", text, re.ASCII):
        return -1
    raise invalid(f"Invalid experiment ID '{text[:80]}'. Experiment ID must be a valid integer.")


def check_count(what: str, n_found: int, most: int) -> None:
    """Refuse a batch with too many of a kind."""
    if n_found > most:
        raise invalid(
            f"A batch logging request can contain at most {most} {what}. Got {n_found} {what}. "
            f"Please split up {what} across multiple requests and try again."
        )


@functools.lru_cache(maxsize=4096)
def _problem(key: str) -> str | None:
    if not _FORM.fullmatch(key):
        return _CHARACTERS
    normal = posixpath.normpath(key)
    if normal != key or normal == "." or normal.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names "
            f"when treated as such. This name would resolve to {normal!r}"
        )
    return None
