"""`hub`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from assay.base.errors import Error

_NEEDED = ("starlette", "uvicorn", "httptools")


@click.command("hub")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(0, 65535),
              help="Port to listen on; 0 takes a free one.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64),
              help="Processes that answer.")  # fmt: skip
@click.option("--ledger", metavar="PATH|URL", help="Ledger; default: that of the project.")
@click.option("--store", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the objects; default: that of the project.")  # fmt: skip
@click.option("--directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Keep ledger and objects in this folder; no project is needed.")  # fmt: skip
@click.option("--allow-host", "names", metavar="NAME", multiple=True,
              help="A name that clients know this hub by; '*' is any.")  # fmt: skip
def hub_command(
    host: str,
    port: int,
    workers: int,
    ledger: str | None,
    store: Path | None,
    directory: Path | None,
    names: tuple[str, ...],
) -> int:
    """Let a team record runs and models over HTTP: MLflow's clients and Assay's.

    The first line printed is the URL, and what a client sets. To listen for others than this
    machine, set ASSAY_TOKEN; clients then send it as MLFLOW_TRACKING_TOKEN, or as the password of
    any user. /health is open, /metrics is for Prometheus.
    """
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise Error(
            "a hub needs an extra that is not installed", hint="pip install 'assay[serve]'"
        )
    from assay.serve import access
    from assay.workflows import hub as workflow

    token = access.given_token()
    places = workflow.places(ledger=ledger, store=store, directory=directory)
    from assay.api import server
    from assay.api.hub import Hub
    from assay.ledger.database import open_ledger
    from assay.serve.listening import listen

    with listen(host, port, token=token) as listening:
        open_ledger(places.ledger).close()  # made, or refused, before anybody can ask
        url = server.url(listening)
        click.echo(f"{url}  (export MLFLOW_TRACKING_URI={url})")
        sys.stdout.flush()
        server.run(
            listening,
            lambda shared: Hub(open_ledger(places.ledger), places.cache(), shared=shared),
            who=server.access(listening, host=host, token=token, names=names),
            n_workers=workers,
        )
    return 0
