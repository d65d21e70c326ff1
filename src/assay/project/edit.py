"""Write a YAML file of DVC's: with our own fast writer, or in place where a person has been there.

A file that is just what the writer would make of its data is written anew. Any other (comments,
another order, flow style) is edited as DVC does it: scalars are put in place, new keys go to the
end of their mapping, comments stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.base.files import write_atomic
from assay.project import yaml12


def updated(text: str | None, data: dict[str, Any], *, keep_order: bool = True) -> str:
    """Return the text that holds `data`, keeping what a person wrote into `text`.

    `keep_order` keeps the old order of keys too; a lock's entries are replaced as a whole.
    """
    from assay.project import emit  # slow to import, and most commands write nothing

    fresh = emit.dump(data)
    if not text or text == fresh:
        return fresh
    before = yaml12.load(text, where="")
    if not isinstance(before, dict):
        return fresh
    if emit.dump(before) == text:
        return emit.dump(_merged(data, before)) if keep_order else fresh
    edited = _round_trip(text, data)
    # ruamel loses digits of some floats and blanks of some long texts: then the data counts
    return edited if yaml12.load(edited, where="") == data else fresh


def _merged(data: Any, before: Any) -> Any:
    """Return `data` with the keys that were there before in their old order, as an edit would."""
    if isinstance(data, dict) and isinstance(before, dict):
        old = {key: _merged(data[key], before[key]) for key in before if key in data}
        return old | {key: value for key, value in data.items() if key not in before}
    if isinstance(data, list) and isinstance(before, list) and len(data) == len(before):
        return [_merged(new, old) for new, old in zip(data, before, strict=True)]
    return data


def _round_trip(text: str, data: dict[str, Any]) -> str:
    import io

    from ruamel.yaml import YAML

    yaml = YAML()
    document = yaml.load(text)
    _apply(data, document)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _apply(new: Any, old: Any) -> None:
    """Change `old` in place until it equals `new`."""
    if isinstance(new, dict):
        for key in [key for key in old if key not in new]:
            del old[key]
        pairs: list[tuple[Any, Any]] = list(new.items())
    else:
        del old[len(new) :]
        old.extend(new[len(old) :])
        pairs = list(enumerate(new))
    for key, value in pairs:
        present = key in old if isinstance(old, dict) else True
        current = old[key] if present else None
        alike = (isinstance(value, dict) and isinstance(current, dict)) or (
            isinstance(value, list) and isinstance(current, list)
        )
        if alike:
            _apply(value, current)
        elif not present or current != value or type(current) is bool or type(value) is bool:
            old[key] = value


def write(path: Path, data: dict[str, Any]) -> bool:
    """Write `data` to a YAML file; returns False where the file held it already."""
    text = path.read_text(encoding="utf-8") if path.exists() else None
    content = updated(text, data)
    if content == text:
        return False
    write_atomic(path, content)
    return True
