"""The generated parts of the reference: every `--help`, public name and setting."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import click

WIDTH = 80


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name, groups before what they hold."""
    from assay.cli import SECTIONS, main

    context = click.Context(main, info_name="assay")
    yield "assay", main
    for section in SECTIONS.values():
        for name in section:
            command = main.get_command(context, name)
            assert command is not None
            yield f"assay {name}", command
            if isinstance(command, click.Group):
                for inner in sorted(command.commands):
                    yield f"assay {name} {inner}", command.commands[inner]


def help_of(name: str, command: click.Command) -> str:
    """Return what `--help` prints, at a width of 80."""
    parent: click.Context | None = None
    for part in name.split()[:-1]:
        parent = click.Context(click.Group(part), info_name=part, parent=parent)
    context = click.Context(
        command,
        info_name=name.rsplit(maxsplit=1)[-1],
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(context).replace("\b", "").strip()


def command_line() -> str:
    """Return every command with its `--help`."""
    return "\n\n".join(
        f"## `{name}`\n\n```text\n{help_of(name, command)}\n```" for name, command in commands()
    )


def names() -> str:
    """Return every public name of `assay` with its signature and docstring."""
    import assay
    from assay.ledger.active import ActiveRun

    parts = [_described(f"assay.{name}", getattr(assay, name)) for name in assay.__all__]
    parts.append(
        "## What `assay.run()` gives\n\n"
        "The run of the `with` block.\n"
        "Its `id` is what `assay runs show` takes; its methods do what the functions above do, "
        "for this run and no other."
    )
    methods = [n for n, _ in inspect.getmembers(ActiveRun, inspect.isfunction) if _is_public(n)]
    parts += [_described(f"run.{name}", getattr(ActiveRun, name)) for name in methods]
    return "\n\n".join(parts)


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in {"close", "ending"}


def _described(name: str, thing: Any) -> str:
    from assay.base.errors import Error

    if isinstance(thing, str):
        return f"### `{name}`\n\nThe version, as text."
    if inspect.isclass(thing):
        head = f"{name}({_signature(thing.__init__)})"
    else:
        head = f"{name}({_signature(thing)})"
    text = _markdown(inspect.getdoc(thing) or "")
    if inspect.isclass(thing) and issubclass(thing, Error):
        text += f"\n\nThe command line ends with exit code {thing.exit_code} on it."
    return f"### `{head}`\n\n{text}"


def _signature(function: Callable[..., Any]) -> str:
    """Return the parameters without their types: those stand below."""
    parts = []
    is_keyword_only = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword_only:
            parts.append("*")
            is_keyword_only = True
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(f"{parameter.name}{default}")
    return ", ".join(parts)


def _markdown(docstring: str) -> str:
    """Return a numpydoc docstring as Markdown."""
    parts = re.split(r"^(\w+)\n-{3,}\n", docstring, flags=re.MULTILINE)
    found = [parts[0].strip().replace("``", "`")]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title == "Examples":
            code = re.sub(r"^(>>>|\.\.\.) ?", "", body.strip(), flags=re.MULTILINE)
            code = re.sub(r"\s*# doctest: \S+", "", code)
            found.append(f"{title}:\n\n```python\n{code}\n```")
        else:
            items = re.findall(r"^(\S.*)\n((?:[ ]{4}.*\n?)+)", body, flags=re.MULTILINE)
            lines = [f"- `{head}`: {' '.join(text.split())}" for head, text in items]
            found.append(f"{title}:\n\n" + "\n".join(lines))
    return "\n\n".join(found)


def settings() -> str:
    """Return our settings as a table."""
    from assay.base.settings import SETTINGS, variable

    kinds = {bool: "true or false", int: "whole number"}
    lines = ["| setting | variable | kind | without it | what it is |", "|---|---|---|---|---|"]
    for key, setting in SETTINGS.items():
        default = str(setting.default).lower()
        lines.append(
            f"| `{key}` | `{variable(key)}` | {kinds[setting.type]} "
            f"| `{default}` | {setting.meaning} |"
        )
    return "\n".join(lines)


def dvc_settings() -> str:
    """Return the settings of DVC's that may stand in its configuration, as a table."""
    from assay.project.config import KEYS

    lines = ["| section | options |", "|---|---|"]
    for section, keys in KEYS.items():
        lines.append(f"| `{section}` | {', '.join(f'`{key}`' for key in sorted(keys))} |")
    return "\n".join(lines)


def exit_codes() -> str:
    """Return the exit codes as `--help` has them."""
    from assay.cli import EXIT_CODES

    words = " ".join(EXIT_CODES.removeprefix("\nExit codes: ").split()).rstrip(".")
    rows = (part.split(" ", 1) for part in words.split("; "))
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {c} | {m} |" for c, m in rows)])


PARTS: dict[str, Callable[[], str]] = {
    "command line": command_line,
    "python": names,
    "settings": settings,
    "dvc settings": dvc_settings,
    "exit codes": exit_codes,
}
"""What stands after `generated:` in a document, and what writes it."""
