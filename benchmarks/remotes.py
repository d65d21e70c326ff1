"""How long 1,000 small objects take to S3 and back, beside a plain loop over `obstore`.

moto is the service, on this machine: its time for a request is most of what is seen here, and it
serves one at a time. What a network adds is in neither column. The loop trusts every byte; we
hash what we read, ask first what is there, and hash what arrives.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.objects.remotes import Item, RemoteSettings, open_remote
from assay.render.tables import text_table
from benchmarks import Wrong, programs
from tests.objects.remotes import servers

SIZE = 10_000


def items(folder: Path, n_objects: int) -> list[Item]:
    """Write objects of noise into a folder of the cache's layout."""
    noise = random.Random(7)
    made = []
    for _ in range(n_objects):
        content = noise.randbytes(SIZE)
        oid = hashlib.md5(content).hexdigest()
        path = folder / oid[:2] / oid[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        made.append(Item(f"files/md5/{oid[:2]}/{oid[2:]}", path, oid, "md5"))
    return made


def elsewhere(made: Sequence[Item], folder: Path) -> list[Item]:
    """Return the same objects for another cache, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    return [one._replace(place=folder / one.oid[:2] / one.oid[2:]) for one in made]


def ours(url: str, bucket: str) -> Any:
    """Open our remote."""
    options = {"endpointurl": url, **servers.KEYS, "region": "us-east-1"}
    return open_remote(RemoteSettings(name="st", url=f"s3://{bucket}", options=options))


def plain(url: str, bucket: str) -> Any:
    """Open the store of `obstore` as its readme does."""
    from obstore.store import S3Store

    return S3Store(
        bucket,
        endpoint=url,
        region="us-east-1",
        client_options={"allow_http": True},
        **servers.KEYS,  # type: ignore[arg-type]
    )


def push(remote: Any, made: Sequence[Item]) -> None:
    """Ask what is there, and send what is not: as 'assay push' does."""
    there = remote.find([one.key for one in made])
    damaged = remote.upload([one for one in made if one.key not in there], advance=_count)
    if damaged:
        raise Wrong("objects are damaged")


def loop_push(store: Any, made: Sequence[Item]) -> None:
    """Send one after the other."""
    import obstore

    for one in made:
        obstore.put(store, one.key, one.path.read_bytes())


def pull(remote: Any, made: Sequence[Item]) -> None:
    """Ask what is there, and fetch it: as 'assay pull' does."""
    there = remote.find([one.key for one in made])
    remote.download([one for one in made if one.key in there], advance=_count)


def loop_pull(store: Any, made: Sequence[Item]) -> None:
    """Fetch one after the other."""
    import obstore

    for one in made:
        one.path.parent.mkdir(parents=True, exist_ok=True)
        one.path.write_bytes(obstore.get(store, one.key).bytes())


def measure(url: str, folder: Path, *, n_objects: int, rounds: int) -> list[list[str]]:
    """Push and pull in turn, ours and the loop, into a new bucket each time."""
    made = items(folder / "from", n_objects)
    seconds: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for side, make, send, fetch in (
            ("ours", ours, push, pull),
            ("loop", plain, loop_push, loop_pull),
        ):
            bucket = f"{side}{number}"
            servers.ask("PUT", f"{url}/{bucket}")
            store = make(url, bucket)
            copies = elsewhere(made, folder / side)
            for name, work, given in (
                ("push", send, made),
                ("push again", send, made),
                ("pull", fetch, copies),
            ):
                took = _timed(work, store, given)
                if number:  # the first round does not count
                    seconds.setdefault(f"{name} {side}", []).append(took)
            _check(copies)
    rows = []
    for name in ("push", "push again", "pull"):
        own, loop = (statistics.median(seconds[f"{name} {side}"]) for side in ("ours", "loop"))
        rows.append([name, f"{own:.2f} s", f"{loop:.2f} s", f"{loop / own:.1f}x"])
    return rows


def _timed(work: Callable[[Any, Sequence[Item]], None], store: Any, made: Sequence[Item]) -> float:
    began = time.perf_counter()
    work(store, made)
    return time.perf_counter() - began


def _check(made: Sequence[Item]) -> None:
    for one in made:
        if hashlib.md5(one.path.read_bytes()).hexdigest() != one.oid:
            raise Wrong("an object did not arrive", where=one.path)


def _count(_n: int) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=1000)
    given = parser.parse_args(arguments)
    before = programs.load()
    try:
        with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, servers.moto() as url:
            rows = measure(url, Path(folder), n_objects=given.objects, rounds=given.rounds)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{given.objects:,} objects of 10 kB, {given.rounds} rounds, load {before}")
    print(text_table(("case", "ours", "plain loop", "loop/ours"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
