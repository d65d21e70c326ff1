"""The command line: parses, calls, prints. A command's module is imported when it is named."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import click

from assay.base.errors import Error, did_you_mean

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Project": {
        "init": ("Make a project in a git repository.", "project:init_command"),
        "config": ("Read and write settings.", "config:config_command"),
        "remote": ("Name the places where data is shared.", "config:remote_group"),
        "cache": ("Say where objects lie on this machine.", "config:cache_group"),
        "root": ("Print the way to the root of the project.", "project:root_command"),
        "doctor": ("Show versions, places, and what works here.", "project:doctor_command"),
        "install": ("Have git call Assay by hooks.", "project:install_command"),
        "help": ("Show all commands, or how one is used.", "project:help_command"),
        "git-hook": ("What the hooks call.", "hook:hook_group"),
        "completion": ("Print what a shell needs to complete.", "project:completion_command"),
        "destroy": ("Take DVC's and Assay's files away.", "project:destroy_command"),
    },
    "Data": {
        "add": ("Put files and folders under version control.", "data:add_command"),
        "commit": ("Record the present content of tracked data.", "data:commit_command"),
        "checkout": ("Bring data to what is recorded.", "data:checkout_command"),
        "fetch": ("Copy data from a remote into the cache.", "transfers:fetch_command"),
        "push": ("Copy data to a remote.", "transfers:push_command"),
        "pull": ("Copy data from a remote and check it out.", "transfers:pull_command"),
        "data": ("Show the state of tracked data.", "differences:data_group"),
        "diff": ("Show what data changed between two revisions.", "differences:diff_command"),
        "gc": ("Delete what nobody names any more.", "garbage:gc_command"),
        "profile": ("Show statistics of a table.", "profile:profile_command"),
        "move": ("Give tracked data another place.", "files:move_command"),
        "remove": ("Stop tracking data or a stage.", "files:remove_command"),
        "unprotect": ("Make linked files writable.", "files:unprotect_command"),
        "check-ignore": ("Say what .dvcignore keeps out.", "files:check_ignore_command"),
    },
    "Imports": {
        "import": ("Take data of another repository.", "imports:import_command"),
        "import-url": ("Take data from a path or URL.", "imports:import_url_command"),
        "update": ("Bring imports to what their source has now.", "imports:update_command"),
        "get": ("Copy data of another repository.", "imports:get_command"),
        "get-url": ("Copy data from a path or URL.", "imports:get_url_command"),
        "artifacts": ("Copy an artifact by its version.", "artifacts:artifacts_group"),
        "list": ("List what a repository has.", "listing:list_command"),
        "list-url": ("List what lies at a path or URL.", "listing:list_url_command"),
        "du": ("Show how much a repository holds.", "listing:du_command"),
    },
    "Quality": {
        "schema": ("Infer and show what is expected of a table.", "quality:schema_group"),
        "validate": ("Check tables against their schemas.", "quality:validate_command"),
        "split": ("List the rows for training and for judging.", "quality:split_command"),
        "drift": ("Compare two tables, column by column.", "quality:drift_command"),
    },
    "Judging": {
        "check": ("Check assay.yaml, and what it names.", "judging:check_command"),
        "evaluate": ("Measure a model on the declared rows.", "judging:evaluate_command"),
        "compare": ("Compare two models on the same rows.", "judging:compare_command"),
        "gate": ("Say whether a model may replace the base.", "judging:gate_command"),
        "report": ("Write a report on a model as a page.", "judging:report_command"),
    },
    "Pipelines": {
        "repro": ("Run the stages that changed.", "repro:repro_command"),
        "status": ("Show which stages and data changed.", "status:status_command"),
        "dag": ("Show the graph of stages.", "dag:dag_command"),
        "stage": ("Add and list stages.", "stage:stage_group"),
        "freeze": ("Let stages be as they are.", "stage:freeze_command"),
        "unfreeze": ("Let frozen stages run again.", "stage:unfreeze_command"),
        "metrics": ("Show and compare metrics.", "results:metrics_group"),
        "params": ("Compare parameters.", "results:params_group"),
        "plots": ("Draw plots as a page or pictures.", "plots:plots_group"),
    },
    "Experiments": {
        "exp": ("Run, compare and share experiments.", "exp:exp_group"),
        "queue": ("Run experiments that wait.", "queue:queue_group"),
    },
    "Runs": {
        "log": ("Show runs with parameters and metrics.", "search:log_command"),
        "runs": ("List, find, show and compare recorded runs.", "runs:runs_group"),
        "reproduce": ("Run a recorded run again and compare.", "reproduce:reproduce_command"),
        "trace": ("Show what a thing came from, and what came from it.", "trace:trace_command"),
    },
    "Models": {
        "bundle": ("Show, verify and export bundles.", "bundle:bundle_group"),
        "model": ("Register bundles as versions, and name them.", "models:model_group"),
        "deploy": ("Let an endpoint answer with a version.", "deployments:deploy_command"),
        "rollback": ("Let an endpoint answer as before.", "deployments:rollback_command"),
        "deployments": ("Show what endpoints answer with.", "deployments:deployments_group"),
    },
    "Serving": {
        "hub": ("Record runs and models of a team over HTTP.", "hub:hub_command"),
        "serve": ("Answer requests over HTTP.", "serve:serve_command"),
        "feedback": ("Keep what predictions should have been.", "serve:feedback_command"),
    },
    "Watching": {
        "monitor": ("Compare traffic with the training data.", "monitor:monitor_command"),
        "alerts": ("List what monitors saw, and answer it.", "monitor:alerts_group"),
        "loop": ("Watch, retrain, and deploy what the gate lets pass.", "loop:loop_command"),
        "retrain": ("Retrain a model now.", "loop:retrain_command"),
        "decisions": ("Show retrainings, and what came of them.", "loop:decisions_group"),
        "audit": ("Show which of the twelve factors hold.", "audit:audit_command"),
    },
}
"""Section of `--help` -> command -> one-line help and `module:attribute`."""

ALIASES = {
    "version": "doctor",
    "experiments": "exp",
    "ls": "list",
    "ls-url": "list-url",
    "mv": "move",
    "rm": "remove",
}
"""Other names of commands, DVC's; `--help` does not show them."""

_COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
_HIDDEN = {"run": ("Add a stage and run it.", "stage:run_command")}  # as older projects write it

EXIT_CODES = """
Exit codes: 0 done or yes; 1 no (invalid, dirty, refused by a rule); 2 wrong usage;
3 not enough data to tell; 130 interrupted; 255 an error.
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, for completion."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        known = _COMMANDS.get(cmd_name) or _HIDDEN.get(cmd_name)
        if known is None:
            return None
        module, _, attribute = known[1].partition(":")
        command: click.Command = getattr(
            importlib.import_module(f"assay.cli.{module}"), attribute
        )  # fmt: skip
        _take_late_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest one."""
        known = {**_COMMANDS, **_HIDDEN, **ALIASES}
        if args and args[0] not in known and not args[0].startswith("-"):
            hint = did_you_mean(args[0], _COMMANDS) or "see 'assay --help'"
            raise click.UsageError(f"there is no command '{args[0]}'\n  hint: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections from the table, importing nothing."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, entry[0]) for name, entry in commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        formatter.write(EXIT_CODES)


def _take_late_options(command: click.Command) -> None:
    """Let `-q` and `-v` stand behind a command too, as in DVC; its own options come first."""
    own = {name for parameter in command.params for name in parameter.opts}
    for names in (["-q", "--quiet"], ["-v", "--verbose"]):
        free = [name for name in names if name not in own]
        if free:
            command.params.append(
                click.Option(free, is_flag=True, hidden=True, expose_value=False, callback=_late)
            )
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _take_late_options(inner)


def _late(ctx: click.Context, option: click.Parameter, given: bool) -> None:
    if given and "--quiet" in option.opts:
        from assay.base.progress import set_quiet

        set_quiet(quiet=True)
        ctx.find_root().params["quiet"] = True


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    invoke_without_command=True,
)
@click.option("-q", "--quiet", is_flag=True, help="Print only what was asked for, and errors.")
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
@click.option("--cd", "folder", metavar="DIR", help="Work in this folder.")
@click.option("-V", "--version", is_flag=True, help="Print the version.")
@click.option("--wait-for-lock", is_flag=True, hidden=True, expose_value=False)  # it always does
@click.pass_context
def main(
    ctx: click.Context,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 -- `run` looks for it before click does
    folder: str | None,
    version: bool,
) -> int | None:
    """From raw data to a monitored model and back: versioned, measured, reproducible."""
    from assay.base.progress import set_quiet

    set_quiet(quiet=quiet)
    if version:
        from assay import __version__

        click.echo(f"assay {__version__}")
        return 0
    if folder:
        try:
            os.chdir(folder)
        except OSError as error:
            from assay.base.files import explain

            raise explain(error, folder) from error
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; every error is turned into a message here."""
    verbose = any(a in {"-v", "--verbose"} for a in arguments)
    try:
        code: Any = main.main(list(arguments), prog_name="assay", standalone_mode=False)
        sys.stdout.flush()
    except Error as error:
        return _fail(str(error), error.exit_code, verbose=verbose)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return 2
    except click.ClickException as error:
        text = error.format_message()
        context = getattr(error, "ctx", None)
        if context is not None and "hint:" not in text:
            text += f"\n  hint: see '{context.command_path} --help'"
        return _fail(text, 2)
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")  # somebody asked for it, so it is no error
        return 130
    except (BrokenPipeError, SystemExit):  # click leaves so when a reader such as `head` is gone
        _silence(sys.stdout, sys.stderr)
        return 0
    except OSError as error:
        from assay.base.files import explain

        return _fail(str(explain(error, error.filename or ".")), 255, verbose=verbose)
    except Exception as error:  # noqa: BLE001 -- whatever we did not think of is ours
        return _fail(_defect(error), 255, verbose=verbose)
    return code if isinstance(code, int) else 0


def _defect(error: Exception) -> str:
    """Return the message of an exception that nobody raised for a user."""
    from assay import __version__

    text = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
    return (
        f"this is a defect of Assay: {text}\n"
        f"  hint: report it with the command that you gave, the version (assay {__version__}),"
        " and what 'assay --verbose ...' prints: the traceback"
    )


def _fail(text: str, code: int, *, verbose: bool = False) -> int:
    if verbose:
        import traceback

        traceback.print_exc()
    try:
        sys.stderr.write(f"error: {text}\n")
    except BrokenPipeError:  # nobody reads it, and the code tells as well
        _silence(sys.stderr)
    return code


def _silence(*streams: TextIO) -> None:
    from assay.cli.output import silence

    for stream in streams:
        silence(stream)
