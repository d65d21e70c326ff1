"""Options that several commands of data have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from assay.project.revisions import Scope
    from assay.workflows.data import Targets
    from assay.workflows.transfers import Request

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

targets_argument = click.argument("targets", nargs=-1)
remote_option = click.option(
    "-r", "--remote", metavar="NAME", help="Another remote than the default."
)  # fmt: skip
jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Objects that move at a time."
)
all_branches_option = click.option(
    "-a", "--all-branches", is_flag=True, help="Also the tips of all branches."
)
all_tags_option = click.option("-T", "--all-tags", is_flag=True, help="Also all tags.")
all_commits_option = click.option("-A", "--all-commits", is_flag=True, help="Also all commits.")
with_deps_option = click.option(
    "-d", "--with-deps", is_flag=True, help="Also what the targets depend on."
)
recursive_option = click.option(
    "-R", "--recursive", is_flag=True, help="A folder names the stages in it, too."
)
glob_option = click.option("--glob", is_flag=True, help="The targets are patterns.")


def with_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds options in the order in which help shows them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


transfer_options = with_options(
    targets_argument,
    remote_option,
    jobs_option,
    all_branches_option,
    all_tags_option,
    all_commits_option,
    with_deps_option,
    recursive_option,
    glob_option,
    click.option("--run-cache/--no-run-cache", help="Also what commands made before."),
    click.option(
        "--runs/--no-runs",
        default=None,
        help="Also the records of runs; without TARGETS that is so.",
    ),
)
artifacts_option = click.option(
    "--artifacts/--no-artifacts",
    default=None,
    help="The artifacts of all runs, or none; else those of runs that are new here.",
)


def targets_of(options: dict[str, Any]) -> Targets:
    """Return what a person named, and take it out of the options."""
    from assay.workflows.data import Targets

    return Targets(
        names=options.pop("targets"),
        cwd=Path.cwd(),
        with_deps=options.pop("with_deps", False),
        recursive=options.pop("recursive", False),
        glob=options.pop("glob", False),
    )


def scope_of(options: dict[str, Any]) -> Scope:
    """Return which commits a person means, and take them out of the options."""
    from assay.project.revisions import Scope

    return Scope(
        branches=options.pop("all_branches", False),
        tags=options.pop("all_tags", False),
        commits=options.pop("all_commits", False),
        experiments=options.pop("all_experiments", False),
        date=options.pop("date", None),
        revisions=options.pop("rev", ()),
        n=options.pop("num", None),
    )


def request_of(options: dict[str, Any]) -> Request:
    """Return what is to be moved, and take it out of the options."""
    from assay.workflows.transfers import Request

    return Request(
        targets=targets_of(options),
        scope=scope_of(options),
        remote=options.pop("remote"),
        jobs=options.pop("jobs"),
        run_cache=options.pop("run_cache", False),
        max_size=options.pop("max_size", None),
        kinds=options.pop("kinds", ()),
        runs=options.pop("runs", None),
        artifacts=options.pop("artifacts", None),
    )


def greedy(*names: str) -> type[click.Command]:
    """Return a kind of command whose options `names` take all that follows, as DVC's do.

    `--targets a b --json` is read as `--targets a --targets b --json`.
    """

    class Greedy(click.Command):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            found: list[str] = []
            current: str | None = None
            for arg in args:
                if arg.startswith("-"):
                    current = arg if arg in names else None
                    found += [] if current else [arg]
                else:
                    found += [current, arg] if current else [arg]
            return super().parse_args(ctx, found)

    return Greedy
