"""`artifacts get`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.base.progress import counted
from assay.cli.imports import jobs_option, overrides_of, source_options
from assay.cli.output import did, json_option, show


@click.group("artifacts")
def artifacts_group() -> None:
    """Get artifacts that DVC's registry names."""


@artifacts_group.command("get")
@click.argument("url")
@click.argument("name")
@click.option("--rev", "version", metavar="VERSION", help="A version, such as v1.0.0.")
@click.option("--stage", metavar="STAGE", help="The version that is at this stage.")
@click.option("-o", "--out", metavar="PATH", help="Where the data go.")
@click.option("-f", "--force", is_flag=True, help="Overwrite what is there.")
@click.option("--show-url", is_flag=True, help="Only print where the data are shared.")
@source_options
@jobs_option
@json_option
def artifacts_get(
    url: str,
    name: str,
    version: str | None,
    stage: str | None,
    out: str | None,
    force: bool,
    show_url: bool,
    config: str | None,
    remote: str | None,
    remote_config: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> int:
    """Copy a version of an artifact of another repository: the highest, or the one asked for.

    Versions and stages are annotated tags there, such as NAME@v1.0.0 and NAME#prod#1. Works
    outside of a project. NAME is 'folder:name' for an artifact of the dvc.yaml in a folder.
    """
    from assay.workflows import artifacts

    cwd = Path.cwd()
    overrides = overrides_of(config, remote, remote_config, jobs)
    place = artifacts.find(url, name, cwd=cwd, version=version, stage=stage, overrides=overrides)
    if show_url:
        address = artifacts.address(url, place, cwd=cwd, overrides=overrides)
        show({"url": address}, as_json=as_json, text=address)
        return 0
    got = artifacts.get(url, place, cwd=cwd, out=out, force=force, overrides=overrides)
    document = {
        "path": got.path, "commit": place.commit, "n_files": got.n_files, "size": got.size,
    }  # fmt: skip
    shown = got.path.relative_to(cwd) if got.path.is_relative_to(cwd) else got.path
    did(document, as_json=as_json, text=f"Got {counted(got.n_files, 'file')}: {shown}")
    return 0
