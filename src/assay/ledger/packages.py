"""What is installed for an interpreter, one line a package, as `pip freeze` writes them.

    numpy==2.4.6                                         from an index
    churn @ git+https://example.org/churn.git@0123…      from a repository, an archive or a wheel
    # Editable install (mine==1.0)                       in place: `pip install -e FOLDER`
    # Local install (mine==1.0)                          from a folder: `pip install FOLDER`

Of a folder its place is left out: it says nothing on another machine, nor what was in it then.

This file is also run by itself, by interpreters that do not have Assay: it imports nothing of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_EDITABLE, _LOCAL = "# Editable install", "# Local install"
_WORDS = {_EDITABLE: "(editable)", _LOCAL: "(from a folder)"}
_SECRET = re.compile(r"sig|token|key|secret|passw|credential|auth", re.IGNORECASE)


def installed() -> list[str]:
    """Return a line for each package of this interpreter, sorted by name."""
    from importlib import metadata

    found: dict[str, str] = {}
    for one in metadata.distributions():
        name = one.metadata["Name"]
        normal = re.sub(r"[-_.]+", "-", name).lower() if name else ""
        if normal and normal not in found:  # of two versions Python takes the first
            found[normal] = line(normal, one.version, origin(one))
    return [found[name] for name in sorted(found)]


def origin(one: Distribution) -> str | None:
    """Return what PEP 610 keeps of where a package came from: JSON; None for an index.

    What Conda installed has the folder in which it was built, on a machine of Conda's.
    """
    text = one.read_text("direct_url.json")
    is_conda = text is not None and (one.read_text("INSTALLER") or "").strip() == "conda"
    return None if is_conda else text


def line(name: str, version: str, direct_url: str | None) -> str:
    """Return the line of a package; `direct_url` is what `origin` says.

    Examples
    --------
    >>> line("a", "1", None), line("a", "1", '{"url": "https://u:p@h/a.zip", "archive_info": {}}')
    ('a==1', 'a @ https://h/a.zip')
    >>> line("a", "1", '{"url": "file:///a", "dir_info": {"editable": true}}')
    '# Editable install (a==1)'
    """
    try:
        kept = json.loads(direct_url or "{}")
        if "dir_info" in kept:
            kind = _EDITABLE if kept["dir_info"].get("editable") else _LOCAL
            return f"{kind} ({name}=={version})"
        address = _address(kept) if "url" in kept else ""
    except (ValueError, TypeError, KeyError, AttributeError):  # not as PEP 610 has it
        address = ""
    return f"{name} @ {address}" if address else f"{name}=={version}"


def parse(line_: str) -> tuple[str, str]:
    """Return the name of a line's package, and its version or address.

    Examples
    --------
    >>> parse("a==1"), parse("a @ https://h/a.zip"), parse("# Local install (a==1)")
    (('a', '1'), ('a', 'https://h/a.zip'), ('a', '1 (from a folder)'))
    """
    for kind, words in _WORDS.items():
        if line_.startswith(f"{kind} ("):
            name, _, version = line_[len(kind) + 2 : -1].partition("==")
            return name, f"{version} {words}"
    name, is_address, address = line_.partition(" @ ")
    if is_address:
        return name, address
    name, _, version = line_.partition("==")
    return name, version


def versions(lines: Iterable[str]) -> dict[str, str]:
    """Return the version or address of each package by its name."""
    return dict(parse(one) for one in lines)


def is_same(a: str | None, b: str | None) -> bool:
    """Say whether two versions or addresses mean the same.

    Two archives do that have the same hash, wherever they lie. Whether a version was installed
    from a folder, older records do not say.

    Examples
    --------
    >>> is_same("https://h/a.whl#sha256=0f", "file:///a.whl#sha256=0f")
    True
    >>> is_same("1", "1 (editable)"), is_same("1", "https://h/a-1.zip")
    (True, False)
    """
    if a is None or b is None or a == b:
        return a == b
    hashes = [re.search(r"[#&](sha\d+=\w+)", one) for one in (a, b)]
    if hashes[0] is not None and hashes[1] is not None:
        return hashes[0][1] == hashes[1][1]
    return bare(a) == bare(b)


def is_local(version: str) -> bool:
    """Say of a version whether the package was installed from a folder."""
    return bare(version) != version


def bare(version: str) -> str:
    """Return a version without the words that it was installed from a folder."""
    return next((version[: -len(w) - 1] for w in _WORDS.values() if version.endswith(w)), version)


def _address(kept: dict[str, Any]) -> str:
    """Return where a package came from as a requirement says it."""
    url = _without_secrets(str(kept["url"]))
    parts = []
    if "vcs_info" in kept:
        vcs = kept["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif "archive_info" in kept:
        archive = kept["archive_info"]
        hashes = archive.get("hashes") or {}
        found = archive.get("hash") or next((f"{k}={v}" for k, v in sorted(hashes.items())), None)
        parts += [found] if found else []
    parts += [f"subdirectory={kept['subdirectory']}"] if "subdirectory" in kept else []
    return url + (f"#{'&'.join(parts)}" if parts else "")


def _without_secrets(url: str) -> str:
    """Take user, password and signatures out of an address; `git@` is no secret."""
    url = re.sub(r"(?<=://)(?!git@|\$\{)[^/@]*@", "", url.partition("#")[0])
    head, has_query, query = url.partition("?")
    kept = [one for one in query.split("&") if not _SECRET.search(one.partition("=")[0])]
    return f"{head}?{'&'.join(kept)}" if has_query and any(kept) else head


def _main() -> None:
    """Print what this interpreter is and has, as `assay.ledger.environment.Software`."""
    import platform
    import sys

    found = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": installed(),
        "hash_seed": None,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main()
