"""The generated parts of the reference: every `--help`, public name, setting and declared key."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import click
import msgspec

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
    from assay.ledger.sdk.active import ActiveRun

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
    return not name.startswith("_") and name not in {"close", "made"}


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

    kinds = {bool: "true or false", int: "whole number", str: "text"}
    lines = ["| setting | variable | kind | without it | what it is |", "|---|---|---|---|---|"]
    for key, setting in SETTINGS.items():
        default = str(setting.default).lower()
        lines.append(
            f"| `{key}` | `{variable(key)}` | {kinds[setting.type]} "
            f"| `{default}` | {setting.meaning} |"
        )
    return "\n".join(lines)


def metrics() -> str:
    """Return the metrics by which models are judged, as a table."""
    from assay.evaluate.metrics import Kind, Metric, known
    from assay.project.declaration import Task

    ways: dict[Kind, str] = {
        "proportion": "Wilson's",
        "mean": "t, or BCa for few rows or heavy tails",
        "sums": "bootstrap",
        "median": "bootstrap",
        "rank": "from how far each row moves it",
        "extreme": "none is known",
    }
    tasks: tuple[Task, ...] = ("regression", "binary", "multiclass")
    found: dict[str, dict[Task, Metric]] = {}
    for task in tasks:
        for name, metric in known(task).items():
            found.setdefault(name, {})[task] = metric
    lines = ["| metric | what it is | for | better | interval |", "|---|---|---|---|---|"]
    for name, of in found.items():
        metric = next(iter(of.values()))
        better = "large" if metric.larger_is_better else "small"
        way = {ways[one.kind]: task for task, one in of.items()}
        words = ", ".join(way if len(way) == 1 else (f"{w} ({task})" for w, task in way.items()))
        lines.append(f"| `{name}` | {metric.title} | {', '.join(of)} | {better} | {words} |")
    return "\n".join(lines)


SECTIONS = (
    "data", "schema", "model", "evaluation", "gate", "deploy", "monitor", "retrain", "tests",
)  # fmt: skip
"""The sections of `assay.yaml` that have known keys."""


def section(name: str) -> str:
    """Return what a section of `assay.yaml` is, its keys as a table, and an example of it."""
    from assay.project import examples
    from assay.project.declaration import Declaration

    type_ = examples.alone(examples.types(Declaration)[name])
    path = ""
    if get_origin(type_) is dict:
        path, type_ = f"{_place(name)}.", examples.alone(get_args(type_)[1])
    lines = ["| key | form | without it | what it is |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _keys(type_, path)]
    return f"{_text_of(type_)}\n\n" + "\n".join(lines) + _example(name)


def _keys(struct: type[msgspec.Struct], path: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, form, default and meaning of all keys of a mapping, those inside after it."""
    from assay.project import examples

    meanings = _attributes(struct)
    for field in msgspec.structs.fields(struct):
        type_ = examples.alone(examples.types(struct)[field.name])
        key = f"{path}{field.name}"
        if get_origin(type_) is dict:
            key, type_ = f"{key}.{_place(field.name)}", examples.alone(get_args(type_)[1])
        inner = isinstance(type_, type) and issubclass(type_, msgspec.Struct)
        meaning = meanings.get(field.name) or (_text_of(type_) if inner else "")
        assert meaning, f"the docstring of {struct.__name__} does not say what {field.name} is"
        yield f"`{key}`", _form(type_), _default(field), meaning
        if inner:
            yield from _keys(type_, f"{key}.")


def _place(name: str) -> str:
    """Return what stands for a name that a person chooses."""
    return "TABLE" if name == "schema" else name.removesuffix("s").upper()


def _text_of(struct: type[msgspec.Struct]) -> str:
    """Return what a docstring says before its attributes, on one line."""
    text = (inspect.getdoc(struct) or "").partition("\nAttributes\n")[0]
    return " ".join(text.replace("``", "`").split())


def _attributes(struct: type[msgspec.Struct]) -> dict[str, str]:
    body = (inspect.getdoc(struct) or "").partition("\nAttributes\n")[2]
    items = re.findall(r"^(\S.*?) : .*\n((?:[ ]{4}.*\n?)+)", body, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in items for name in names.split(", ")}


def _form(type_: Any) -> str:
    """Return in words what a value has to be."""
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        words = _form(arguments[0])
        for limit in arguments[1:]:
            if limit.pattern is not None:
                words = "duration" if "smhdw" in limit.pattern else "name"
            elif limit.le is not None:
                words += f", {limit.ge} to {limit.le}"
            else:
                words += ", above 0" if limit.ge is None else f", at least {limit.ge}"
        return words
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in arguments)
    if origin is list:
        return f"list of {_form(arguments[0])}"
    if arguments:
        return " or ".join(map(_form, arguments))
    words_of = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return "any value" if type_ is Any else words_of.get(type_, "mapping")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "it is needed"
    if field.default in {msgspec.NODEFAULT, msgspec.UNSET, None}:
        return "-"
    text = str(field.default)
    return f"`{text.lower() if isinstance(field.default, bool) else text}`"


def _example(name: str) -> str:
    """Return the section as it is in the example of bikes, or nothing where that has none."""
    text = (Path(__file__).parents[1] / "examples" / "bikes" / "assay.yaml").read_text()
    found = re.search(rf"^{name}:.*\n(?:[ ].*\n)+", text, re.MULTILINE)
    return "" if found is None else f"\n\n```yaml\n{found[0]}```"


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
    "metrics": metrics,
    "dvc settings": dvc_settings,
    "exit codes": exit_codes,
    **{f"section {name}": functools.partial(section, name) for name in SECTIONS},
}
"""What stands after `generated:` in a document, and what writes it."""
