"""`.dvc/config`: DVC's INI files, four of them, the later one wins. Ours never go in there.

Source: DVC 3.67 writes them with ConfigObj: sections and options in lower case, options indented
by four blanks, a named section as `['remote "name"']`. Unlike DVC we keep a person's comments.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.base.files import explain, write_atomic
from assay.base.settings import SETTINGS
from assay.objects.links import DEFAULT, LINK_TYPES, LinkType
from assay.objects.remotes import RemoteSettings

Level = Literal["system", "global", "project", "local"]
Sections = dict[str, dict[str, str]]

LEVELS: tuple[Level, ...] = ("system", "global", "project", "local")

KEYS: dict[str, frozenset[str]] = {
    "core": frozenset(
        [
            "remote",
            "checksum_jobs",
            "interactive",
            "analytics",
            "hardlink_lock",
            "no_scm",
            "autostage",
            "check_update",
            "site_cache_dir",
            "machine",
        ]
    ),
    "cache": frozenset(["dir", "type", "shared", "slow_link_warning", "verify", "protected"]),
    "exp": frozenset(["auto_push", "git_remote"]),
    "plots": frozenset(["html_template", "auto_open", "out_dir"]),
    "parsing": frozenset(["bool", "list"]),
    "hydra": frozenset(["enabled", "config_dir", "config_module", "config_name", "plugins_path"]),
    "studio": frozenset(["token", "url", "repo_url", "offline"]),
    "state": frozenset(["dir", "row_limit", "row_cleanup_quota"]),
    "index": frozenset(("dir",)),
    "feature": frozenset(("machine",)),
}
"""DVC's sections and options; those of a remote depend on its kind and are not listed."""

OURS = tuple(dict.fromkeys(key.partition(".")[0] for key in SETTINGS))
"""Sections of our own settings, which lie elsewhere."""

_SECTION = re.compile(r"^\s*\[\s*(?P<name>.*?)\s*\]\s*(#.*)?$")
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
            current[match["key"].strip("'\"").lower()] = _unquote(match["value"])
        else:
            raise Error(
                f"{line.strip()!r} is neither a [section] nor an 'option = value' in one",
                where=f"{where}:{number}",
                hint="correct the line, or remove it",
            )
    return sections


def _section_name(text: str) -> str:
    if named := _NAMED.match(text):
        return f'{named["kind"].lower()} "{named["name"]}"'
    return text.strip("'\"").lower()


def _unquote(value: str) -> str:
    if value[:1] in {'"', "'"}:
        end = value.find(value[0], 1)
        if end > 0:
            return value[1:end]
    return re.split(r"\s+#", value, maxsplit=1)[0].rstrip()


def _quote(value: str) -> str:
    if value and not re.search(r"""[,'"#]|^\s|\s$""", value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


class Config:
    """The merged configuration of a project.

    Parameters
    ----------
    files : dict
        The file of each level, weakest first.
    """

    def __init__(self, files: dict[Level, Path]) -> None:
        self.files = files
        self._levels: dict[Level, Sections] = {level: _read(path) for level, path in files.items()}

    @classmethod
    def of(cls, dvc_dir: Path, *, local_dir: Path | None = None) -> Config:
        """Open the configuration around a `.dvc` folder.

        `local_dir` is the `.dvc` folder that has `config.local`, where it is another one: that of
        the clone to which a linked work tree belongs.
        """
        system = os.environ.get("DVC_SYSTEM_CONFIG_DIR", "/etc/xdg/dvc")
        user = os.environ.get("DVC_GLOBAL_CONFIG_DIR")
        if user is None:
            base = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
            user = f"{base}/dvc"
        return cls(
            {
                "system": Path(system) / "config",
                "global": Path(user) / "config",
                "project": dvc_dir / "config",
                "local": (local_dir or dvc_dir) / "config.local",
            }
        )

    def get(self, section: str, key: str) -> str | None:
        """Return an option as it counts, or None."""
        found = self.origin(section, key)
        return found[1] if found else None

    def origin(self, section: str, key: str) -> tuple[Path, str] | None:
        """Return the file that decides an option, and its value."""
        for level in reversed(list(self.files)):
            value = self._levels[level].get(section, {}).get(key)
            if value is not None:
                return self.files[level], value
        return None

    def flag(self, section: str, key: str, *, default: bool = False) -> bool:
        """Return a boolean option."""
        value = self.get(section, key)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise Error(f"'{section}.{key}' is {value!r}, not 'true' or 'false'")
        return value.lower() == "true"

    def path(self, section: str, key: str) -> Path | None:
        """Return an option that is a path; a relative one belongs to the folder of its file."""
        found = self.origin(section, key)
        if found is None:
            return None
        return _absolute(found[1], found[0].parent)

    def merged(self) -> Sections:
        """Return all options as they count."""
        merged: Sections = {}
        for level in self.files:
            for section, options in self._levels[level].items():
                merged.setdefault(section, {}).update(options)
        return merged

    def link_types(self) -> tuple[LinkType, ...]:
        """Return `cache.type`, the preferred link type first."""
        value = self.get("cache", "type")
        if value is None:
            return DEFAULT
        asked = [part.strip() for part in value.split(",") if part.strip()]
        for part in asked:
            if part not in LINK_TYPES:
                raise Error(
                    f"'cache.type' names '{part}', which is none of {', '.join(LINK_TYPES)}",
                    where=self.files["project"],
                    hint=did_you_mean(part, LINK_TYPES),
                )
        return tuple(t for a in asked for t in LINK_TYPES if t == a)

    def remotes(self) -> dict[str, RemoteSettings]:
        """Return all remotes by name, addresses of folders made absolute."""
        found = {}
        for section, options in self.merged().items():
            if match := re.fullmatch(r'remote "(.*)"', section):
                origin = self.origin(section, "url")
                if origin is None:
                    raise Error(f"remote '{match[1]}' has no 'url'", where=self.files["project"])
                url = origin[1]
                if "://" not in url:
                    url = str(_absolute(url, origin[0].parent))
                rest = {key: value for key, value in options.items() if key != "url"}
                found[match[1]] = RemoteSettings(name=match[1], url=url, options=rest)
        return found

    def remote(self, name: str | None = None) -> RemoteSettings:
        """Return the remote `name`, or the default one.

        Raises
        ------
        NotFound
            If there is none, with the command that makes one.
        """
        remotes = self.remotes()
        wanted = name or self.get("core", "remote")
        if wanted is None:
            hint = (
                f"choose one with 'assay remote default {next(iter(remotes))}', or give '-r NAME'"
                if remotes
                else "make one with 'assay remote add -d storage FOLDER'"
            )
            raise NotFound(
                "no default remote is set", where=self.files["project"], hint=hint
            )  # fmt: skip
        if wanted not in remotes:
            raise NotFound(
                f"there is no remote '{wanted}'",
                where=self.files["project"],
                hint=did_you_mean(wanted, remotes) or "see 'assay remote list'",
            )
        return remotes[wanted]

    def set(self, section: str, key: str, value: str, *, level: Level = "project") -> None:
        """Write one option, in place, keeping the rest of the file as it is."""
        check_key(section, key)
        path = self.files[level]
        text = _text(path)
        header = f"['{section}']" if '"' in section else f"[{section}]"
        write_atomic_in(path, _edited(text, section, key, f"    {key} = {_quote(value)}", header))
        self._levels[level] = _read(path)

    def unset(self, section: str, key: str, *, level: Level = "project") -> None:
        """Remove one option; one that is not set is an error."""
        path = self.files[level]
        if key not in self._levels[level].get(section, {}):
            raise NotFound(f"'{section}.{key}' is not set", where=path)
        write_atomic_in(path, _edited(_text(path), section, key, None, ""))
        self._levels[level] = _read(path)


def check_key(section: str, key: str) -> None:
    """Refuse a section or option that real DVC would fail on."""
    if '"' in section:
        return
    if section not in KEYS:
        raise Usage(
            f"there is no section '{section}', neither of DVC's nor of ours",
            hint=did_you_mean(section, [*KEYS, *OURS]) or "see 'assay config --list'",
        )
    if key not in KEYS[section]:
        raise Usage(
            f"the section '{section}' has no option '{key}'", hint=did_you_mean(key, KEYS[section])
        )


def write_atomic_in(path: Path, text: str) -> None:
    """Write a configuration file, making its folder where it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, path.parent) from error
    write_atomic(path, text)


def _edited(text: str, section: str, key: str, line: str | None, header: str) -> str:
    """Return the text with one option set to `line`, or removed."""
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
        lines[at:at] = [header, line or ""]
        return "\n".join([*lines, ""])
    for number in range(start + 1, end):
        option = _OPTION.match(lines[number])
        if option and option["key"].strip("'\"").lower() == key:
            lines[number : number + 1] = [] if line is None else [line]
            break
    else:
        lines[end:end] = [] if line is None else [line]
        return "\n".join([*lines, ""])
    if line is None and end == start + 2:
        del lines[start]  # a section without options goes too
    return "\n".join([*lines, ""]) if lines else ""


def _first_named(lines: list[str]) -> int:
    """Return where a new section goes: as DVC has it, before the remotes and their comments."""
    for at, line in enumerate(lines):
        header = _SECTION.match(line)
        if header and '"' in _section_name(header["name"]):
            while at and lines[at - 1].lstrip().startswith("#"):
                at -= 1  # noqa: PLW2901 -- the loop ends here
            return at
    return len(lines)


def _read(path: Path) -> Sections:
    return parse(_text(path), where=path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise Error(f"cannot be read: {error}", where=path) from error


def _absolute(value: str, base: Path) -> Path:
    return Path(os.path.normpath(base / Path(value).expanduser()))
