"""`list` (`ls`), `list-url`, `du`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Usage
from assay.cli.imports import options_of, overrides_of, source_options
from assay.cli.output import json_option, show

if TYPE_CHECKING:
    from assay.workflows.browsing import Branch, Listed

_recursive = click.option("-R", "--recursive", is_flag=True, help="All files, however deep.")
_tree = click.option("-T", "--tree", "as_tree", is_flag=True, help="Draw a tree.")
_level = click.option(
    "-L", "--level", type=click.IntRange(min=0), metavar="N", help="Go no deeper than this."
)
_size = click.option("--size", is_flag=True, help="Show sizes.")
_rev = click.option("--rev", metavar="REVISION", help="A branch, tag or commit.")
Cells = list[str]


@click.command("list")
@click.argument("url")
@click.argument("path", required=False)
@_recursive
@_tree
@_level
@click.option("--dvc-only", is_flag=True, help="Only what is tracked as data.")
@_rev
@_size
@click.option("--show-hash", is_flag=True, help="Show the hashes of data.")
@source_options
@json_option
def list_command(
    url: str,
    path: str | None,
    recursive: bool,
    as_tree: bool,
    level: int | None,
    dvc_only: bool,
    rev: str | None,
    size: bool,
    show_hash: bool,
    config: str | None,
    remote: str | None,
    remote_config: tuple[str, ...],
    as_json: bool,
) -> int:
    """List what a repository has: its files in git, and its data.

    URL is a folder with a git repository ('.' is this one), or what git can clone. Works outside
    of a project.
    """
    from assay.workflows import browsing

    _refuse_two_forms(as_tree=as_tree, as_json=as_json)
    overrides = overrides_of(config, remote, remote_config)
    with browsing.opened(url, cwd=Path.cwd(), rev=rev, overrides=overrides) as source:
        if as_tree:
            top = browsing.tree(source, path, depth=level, only_data=dvc_only)
            show(None, as_json=False, text=_drawn(top, size=size, show_hash=show_hash))
            return 0
        rows = browsing.list_(source, path, recursive=recursive, depth=level, only_data=dvc_only)
    show(rows, as_json=as_json, text=_lines(rows, size=size, show_hash=show_hash))
    return 0


@click.command("list-url")
@click.argument("url")
@_recursive
@_tree
@_level
@_size
@click.option("--fs-config", multiple=True, metavar="KEY=VALUE", help="An option for the address.")
@json_option
def list_url_command(
    url: str,
    recursive: bool,
    as_tree: bool,
    level: int | None,
    size: bool,
    fs_config: tuple[str, ...],
    as_json: bool,
) -> int:
    """List what lies at a path or URL."""
    from assay.workflows import browsing

    _refuse_two_forms(as_tree=as_tree, as_json=as_json)
    options = options_of(fs_config, name="--fs-config")
    rows = browsing.list_address(
        url, cwd=Path.cwd(), recursive=recursive or as_tree, depth=level, options=options
    )
    if as_tree:
        text = _drawn(browsing.grow(rows, url), size=size, show_hash=False)
        show(None, as_json=False, text=text)
        return 0
    document = [{"path": row.path, "isdir": row.isdir, "size": row.size} for row in rows]
    show(document, as_json=as_json, text=_lines(rows, size=size, show_hash=False))
    return 0


@click.command("du")
@click.argument("url")
@click.argument("path", required=False)
@click.option("-s", "--summarize", is_flag=True, help="Only the whole.")
@_rev
@source_options
@json_option
def du_command(
    url: str,
    path: str | None,
    summarize: bool,
    rev: str | None,
    config: str | None,
    remote: str | None,
    remote_config: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show how much the files and data of a repository hold."""
    from assay.workflows import browsing

    overrides = overrides_of(config, remote, remote_config)
    with browsing.opened(url, cwd=Path.cwd(), rev=rev, overrides=overrides) as source:
        rows = browsing.measure(source, path, summarize=summarize)
    cells = [[browsing.natural(row.size), row.path] for row in rows]
    show(rows, as_json=as_json, text=_aligned(cells, right=False))
    return 0


def _refuse_two_forms(*, as_tree: bool, as_json: bool) -> None:
    if as_tree and as_json:
        raise Usage("'--tree' and '--json' are two forms: choose one")


def _lines(rows: list[Listed], *, size: bool, show_hash: bool) -> str:
    if not size and not show_hash:
        return "\n".join(row.path for row in rows)
    cells = [_cells(row, row.path, size=size, show_hash=show_hash) for row in rows]
    return _aligned(cells, right=size)


def _cells(row: Any, name: str, *, size: bool, show_hash: bool) -> Cells:
    from assay.workflows.browsing import natural

    cells = []
    if size:
        cells.append("" if row.size is None else natural(row.size))
    if show_hash:
        cells.append(row.md5 or "-")
    return [*cells, name]


def _aligned(cells: list[Cells], *, right: bool) -> str:
    """Return rows of cells as columns, the first one to the right where it is a number."""
    if not cells:
        return ""
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]) - 1)]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if right and number == 0 else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return "\n".join(lines)


def _drawn(top: Branch, *, size: bool, show_hash: bool) -> str:
    rows: list[Cells] = []

    def draw(branch: Branch, prefix: str, edge: str, inner: str) -> None:
        name = prefix + edge + branch.listed.path
        rows.append(_cells(branch.listed, name, size=size, show_hash=show_hash))
        for number, child in enumerate(branch.inside, 1):
            is_last = number == len(branch.inside)
            draw(
                child,
                prefix + inner,
                "└── " if is_last else "├── ",
                "    " if is_last else "│   ",
            )

    draw(top, "", "", "")
    return _aligned(rows, right=size)
