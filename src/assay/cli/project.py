"""`init`, `root`, `destroy`, `install`, `doctor`, `completion`: a project and its surroundings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from assay.base.errors import Negative, NotFound, Usage
from assay.cli.output import did, json_option, note, show
from assay.project import workspace


@click.command("init")
@click.argument("folder", default=".", type=click.Path(file_okay=False))
@click.option("--no-scm", is_flag=True, help="Do without git.")
@click.option("--subdir", is_flag=True, help="In a sub-folder of a git repository.")
@click.option("-f", "--force", is_flag=True, help="Make what is missing in a project that exists.")
def init_command(folder: str, no_scm: bool, subdir: bool, force: bool) -> int:
    """Make a project in the root of a git repository.

    Its files are those of DVC: a project of Assay is a DVC repository, and the other way round.
    """
    project = workspace.init(Path(folder), force=force, no_scm=no_scm, subdir=subdir)
    did(None, as_json=False, text=f"Made a project in {project.root}")
    if project.uses_git:
        note("  next: track data with 'assay add FILE', then 'git commit'")
    else:
        note("  next: track data with 'assay add FILE'; without git there is no history of it")
    return 0


@click.command("root")
@json_option
def root_command(as_json: bool) -> int:
    """Print the way from here to the root of the project."""
    relative = os.path.relpath(workspace.find().root, Path.cwd())
    show({"root": relative}, as_json=as_json, text=relative)
    return 0


@click.command("destroy")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
def destroy_command(force: bool) -> int:
    """Take DVC's and Assay's files away: records, cache, runs. Data, code and git stay."""
    from assay.base.progress import counted
    from assay.project import destroying

    project = workspace.find()
    doomed = destroying.look(project)
    if not force:
        records = counted(len(doomed.records), "file")
        parts = [f"{records} that {'records' if records == '1 file' else 'record'} data or stages"]
        parts += [f"the cache in {doomed.cache}"] if doomed.cache else []
        parts += ["the record of all runs and models"] if doomed.has_ledger else []
        text = f"This deletes, for ever: {'; '.join(parts)}."
        if not sys.stdin.isatty():
            raise Negative(
                "nobody can be asked, since this is not a terminal; nothing was deleted",
                where=project.root,
                hint=f"{text[0].lower()}{text[1:-1]}. To do it, give '--force'",
            )
        if not click.confirm(f"{text}\nGo on?", err=True):
            raise Negative("nothing was deleted")
    destroying.destroy(project, doomed)
    note(f"{project.root} is not a project any more; its data are plain files")
    if doomed.ignoring:
        files = ", ".join(project.shown(path) for path in doomed.ignoring)
        note(f"  git still ignores these data: their lines in {files} stay")
    return 0


@click.command("install")
@click.option("--use-pre-commit-tool", is_flag=True, help="Write .pre-commit-config.yaml instead.")
@json_option
def install_command(use_pre_commit_tool: bool, as_json: bool) -> int:
    """Have git call Assay: 'checkout' after a checkout, 'status' before a commit, 'push' too.

    Also tells git how to merge .dvc files and dvc.lock. A hook that is there is not touched.
    """
    from assay.project import hooks

    project = workspace.find()
    install = hooks.install_for_tool if use_pre_commit_tool else hooks.install
    done = install(project)
    lines = [f"wrote {project.shown(path)}" for path in done.files]
    lines += ["told git how to merge .dvc files and dvc.lock"] if done.driver else []
    did(done, as_json=as_json, text="\n".join(lines or ["Everything is installed already."]))
    if not done.attributes and not as_json:
        note("\nTo have .dvc files merged, run:\n\n\techo '*.dvc merge=dvc' >> .gitattributes")
    if use_pre_commit_tool and not as_json:
        types = " ".join(f"--hook-type {name}" for name in hooks.HOOKS)
        note(f"\nTo have the hooks called, run:\n\n\tpre-commit install {types}")
    return 0


@click.command("doctor")
@json_option
def doctor_command(as_json: bool) -> int:
    """Show versions, places, and which links work here: for a report of a problem."""
    from assay import __version__
    from assay.project import diagnosis

    try:
        found = diagnosis.diagnose(workspace.find(), version=__version__)
    except NotFound:
        found = diagnosis.diagnose(None, version=__version__)
    show(found, as_json=as_json, text="\n".join(diagnosis.lines(found)))
    return 0


@click.command("completion")
@click.option(
    "-s", "--shell", type=click.Choice(["bash", "zsh", "fish"]), required=True, help="Which shell."
)
def completion_command(shell: str) -> int:
    """Print what a shell needs to complete commands and options with the tab key.

    For bash: assay completion -s bash > ~/.local/share/bash-completion/completions/assay
    """
    from click.shell_completion import get_completion_class

    from assay.cli import main

    kind = get_completion_class(shell)
    if kind is None:
        raise Usage(f"there is no completion for '{shell}'")
    maker = kind(main, {}, "assay", "_ASSAY_COMPLETE")
    text = maker.source_template % maker.source_vars()
    # what is no command or option is most often a file
    text = text.replace("-o nosort", "-o nosort -o default")
    added = "compadd -U -V unsorted -a completions\n    fi"
    none = '[ -z "$completions$completions_with_descriptions" ]'
    text = text.replace(added, f"{added}\n\n    if {none}; then\n        _files\n    fi")
    show(None, as_json=False, text=text.strip())
    return 0


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_command(ctx: click.Context, names: tuple[str, ...]) -> int:
    """Show all commands in their groups, or how one of them is used."""
    here = ctx.find_root()
    for name in names:
        group = here.command
        found = group.resolve_command(here, [name])[1] if isinstance(group, click.Group) else None
        if found is None:
            raise Usage(f"'{here.info_name}' has no command '{name}'", hint="see 'assay help'")
        here = click.Context(found, info_name=name, parent=here)
    show(None, as_json=False, text=here.get_help())
    return 0
