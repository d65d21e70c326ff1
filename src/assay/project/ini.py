"""DVC's INI text: read into sections, and edited in place so that a person's comments stay.

Source: DVC 3.67 writes it with ConfigObj: sections and options in lower case, options indented by
four blanks, a named section as `['remote "name"']`. It reads names in lower case too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from assay.base.errors import Error

Sections = dict[str, dict[str, str]]

_SECTION = re.compile(r"^\s*\[\s*(?P<name>.*?)\s*\]\s*(?P<rest>#.*)?$")
_OPTION = re.compile(r"^\s*(?P<key>[^=#\s][^=]*?)\s*=\s*(?P<value>.*?)\s*$")
_NAMED = re.compile(r"""^['"]?(?P<kind>\w+) "(?P<name>.*)"['"]?$""")


def parse(text: str, *, where: str | Path) -> Sections:
    """Read an INI text into section -> option -> value; a named section is `remote "st"`."""
    sections: Sections = {}
    current: dict[str, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        if match := _SECTION.match(line):
            current = sections.setdefault(_section_name(match["name"]), {})
        elif (match := _OPTION.match(line)) and current is not None:
            current[_key(match["key"])] = _unquote(match["value"])
        else:
            raise Error(
                f"{line.strip()!r} is neither a [section] nor an 'option = value' in one",
                where=f"{where}:{number}",
                hint="correct the line, or remove it",
            )
    return sections


def with_option(text: str, section: str, key: str, value: str) -> str:
    r"""Return the text with one option set; a new section goes where DVC has it.

    Examples
    --------
    >>> print(with_option("[core]  # ours\n", "core", "remote", "st"), end="")
    [core]  # ours
        remote = st
    """
    line = f"    {key} = {quote(value)}"
    lines = text.splitlines()
    start = end = None
    for number, existing in enumerate(lines):
        if match := _SECTION.match(existing):
            if start is not None:
                break
            if _section_name(match["name"]) == section:
                start = number
        if start is not None and existing.strip():
            end = number + 1
    if start is None or end is None:
        at = len(lines) if '"' in section else _first_named(lines)
        lines[at:at] = [_header(section), line]
        return _joined(lines)
    for number in range(start + 1, end):
        option = _OPTION.match(lines[number])
        if option and _key(option["key"]) == key:
            lines[number] = line
            return _joined(lines)
    lines[end:end] = [line]
    return _joined(lines)


def without_option(text: str, section: str, key: str) -> str:
    """Return the text without one option, and without its section where that is empty now."""
    lines = text.splitlines()
    for start, end in reversed([*_spans(lines, section)]):
        options = [n for n in range(start + 1, end) if _is_option(lines[n])]
        gone = [n for n in options if _key(_OPTION.match(lines[n])["key"]) == key]  # type: ignore[index]
        is_empty = bool(gone) and len(gone) == len(options)
        if is_empty and not any(line.strip() for line in lines[start + 1 : gone[0]]):
            gone.insert(0, start)  # a comment further down is about the next section
        for number in reversed(gone):
            del lines[number]
    return _joined(lines)


def without_section(text: str, section: str) -> str:
    """Return the text without a section and its options; comments stay, they are a person's."""
    lines = text.splitlines()
    for start, end in reversed([*_spans(lines, section)]):
        lines[start:end] = [line for line in lines[start + 1 : end] if not _is_option(line)]
    return _joined(lines)


def renamed_section(text: str, old: str, new: str) -> str:
    """Return the text with another name for a section."""
    lines = text.splitlines()
    for start, _ in _spans(lines, old):
        rest = (_SECTION.match(lines[start]) or {"rest": None})["rest"]
        lines[start] = _header(new) + (f"  {rest}" if rest else "")
    return _joined(lines)


def quote(value: str) -> str:
    """Return a value as it stands in the file."""
    if value and not re.search(r"""[,'"#]|^\s|\s$""", value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def _header(section: str) -> str:
    return f"['{section}']" if '"' in section else f"[{section}]"


def _key(text: str) -> str:
    return text.strip("'\"").lower()


def _section_name(text: str) -> str:
    if named := _NAMED.match(text):
        return f'{named["kind"]} "{named["name"]}"'.lower()
    return text.strip("'\"").lower()


def _unquote(value: str) -> str:
    if value[:1] in {'"', "'"}:
        end = value.find(value[0], 1)
        if end > 0:
            return value[1:end]
    return re.split(r"\s+#", value, maxsplit=1)[0].rstrip()


def _is_option(line: str) -> bool:
    return not line.lstrip().startswith(("#", ";")) and _OPTION.match(line) is not None


def _spans(lines: list[str], section: str) -> Iterator[tuple[int, int]]:
    """Yield the lines from each header of a section to the next header."""
    start = None
    for number, line in enumerate(lines):
        if match := _SECTION.match(line):
            if start is not None:
                yield start, number
            start = number if _section_name(match["name"]) == section else None
    if start is not None:
        yield start, len(lines)


def _first_named(lines: list[str]) -> int:
    """Return where a new section goes: as DVC has it, before the remotes and their comments."""
    for at, line in enumerate(lines):
        header = _SECTION.match(line)
        if header and '"' in _section_name(header["name"]):
            while at and lines[at - 1].lstrip().startswith("#"):
                at -= 1  # noqa: PLW2901 -- the loop ends here
            return at
    return len(lines)


def _joined(lines: list[str]) -> str:
    return "\n".join([*lines, ""]) if lines else ""
