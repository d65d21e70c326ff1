"""What a `.dvc` file says that was left as DVC and Assay write it, without a library for YAML.

Loading that library takes longer than to look at a thousand files. A text that is not surely
plain is left to `assay.project.yaml12`.
"""

from __future__ import annotations

import re
from typing import Any

_NUMBER = "0|[1-9][0-9]{0,17}"
_RECORD = re.compile(
    r"outs:\n"
    # without one of these letters it may be a number to YAML
    r"- md5: (?=[0-9a-f]*[acdf])(?P<md5>[0-9a-f]{32}(?:\.dir)?)\n"
    rf"  size: (?P<size>{_NUMBER})\n"
    rf"(?:  nfiles: (?P<nfiles>{_NUMBER})\n)?"
    r"(?:  isexec: (?P<isexec>true)\n)?"
    r"  hash: (?P<hash>md5)\n"
    r"  path: (?P<path>[A-Za-z_][A-Za-z0-9_./-]*)\n"
)
_NOT_TEXT = frozenset({"true", "false", "null"})


def load(text: str) -> dict[str, Any] | None:
    r"""Return the mapping that a plain text is, or None for any other text.

    Examples
    --------
    >>> load("outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  size: 0\n  hash: md5\n  path: a\n")
    {'outs': [{'md5': 'd41d8cd98f00b204e9800998ecf8427e', 'size': 0, 'hash': 'md5', 'path': 'a'}]}
    >>> load("outs: []\n")
    """
    found = _RECORD.fullmatch(text)
    if found is None or found["path"].lower() in _NOT_TEXT:
        return None
    row: dict[str, Any] = {key: value for key, value in found.groupdict().items() if value}
    for key in row.keys() & {"size", "nfiles"}:
        row[key] = int(row[key])
    if "isexec" in row:
        row["isexec"] = True
    return {"outs": [row]}
