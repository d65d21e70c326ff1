"""`serve` and `feedback`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.base.errors import Usage
from assay.base.progress import counted
from assay.cli.output import did, is_quiet, json_option, note
from assay.project import workspace

if TYPE_CHECKING:
    from assay.traffic.feedback import Counts


@click.command("serve")
@click.argument("endpoint")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535),
              help="Port to listen on; 0 takes a free one.")  # fmt: skip
def serve_command(endpoint: str, host: str, port: int) -> int:
    """Answer requests for ENDPOINT with the version that is deployed to it.

    The first line printed is the URL. Clients speak the Open Inference Protocol (/v2), or send
    rows of JSON to /predict. A deployment to the endpoint is followed while the server runs; no
    request is lost. To listen for others than this machine, set ASSAY_TOKEN, which clients send
    as 'Authorization: Bearer TOKEN'. What a request may be at most is set by 'assay config
    serve.max_body_size' and the like.
    """
    from assay.serve import access
    from assay.workflows import serve

    quiet = is_quiet()  # asked for here: threads do not know the command line

    def say(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    def listens(url: str) -> None:
        click.echo(url)
        sys.stdout.flush()

    token = access.given_token()
    serve.serve(
        workspace.find(), endpoint, host=host, port=port, token=token, listens=listens, say=say
    )
    return 0


@click.command("feedback")
@click.argument("endpoint")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--id", "prediction_id", metavar="ID", help="The prediction's id, or ID/ROW.")
@click.option("--value", metavar="VALUE", help="The truth of the prediction --id.")
@click.option("--key", metavar="COLUMN", help="Column of FILE that was sent with the request.")
@click.option("--target", metavar="COLUMN", help="Column of FILE with the truth.")
@json_option
def feedback_command(
    endpoint: str,
    file: Path | None,
    prediction_id: str | None,
    value: str | None,
    key: str | None,
    target: str | None,
    as_json: bool,
) -> int:
    """Keep what predictions of ENDPOINT should have been.

    FILE is a table with a row for each truth: the column 'prediction_id' (or a key column, see
    --key) and the column 'value' (or the declared target, see --target). For one truth give --id
    and --value. Truth may come late, twice or corrected: the latest counts.
    """
    from assay.workflows import serve

    one = prediction_id is not None and value is not None
    if (file is not None) == one or ((prediction_id is None) != (value is None)):
        raise Usage("give a FILE, or --id and --value", hint="see 'assay feedback --help'")
    project = workspace.find()
    if file is not None:
        given = serve.add_truths(project, endpoint, file, key=key, target=target)
    else:
        given = serve.add_truth(
            project, endpoint, prediction_id=str(prediction_id), value=serve.parse(str(value))
        )
    did(given, as_json=as_json, text=f"kept {counted(given.n_truths, 'truth')}")
    if given.waits is not None:
        note(f"no prediction '{given.waits}' is in the log so far; its truth waits for it")
    note(_in_words(given.counts))
    return 0


def _in_words(counts: Counts) -> str:
    """Say what became of all truths."""
    parts = [
        f"{counted(counts.n_rows, 'row')} {'has' if counts.n_rows == 1 else 'have'} one",
        f"{counts.n_corrected:,} corrected",
        f"{counts.n_unknown:,} without a prediction",
    ]
    if counts.n_ambiguous:
        parts.append(f"{counts.n_ambiguous:,} for an id with several rows, without '/ROW'")
    return f"of all {counted(counts.n_truths, 'truth')}: {', '.join(parts)}"
