"""What remotes over a network have in common: many files at once, each checked by its hash.

A kind of remote says how one file is sent, received and asked for. Threads, batches, tries and
hashes are here. What arrived is published as it goes, so that a broken transfer loses little.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread, current_thread, main_thread
from typing import Any, TypeVar

from assay.base.errors import Error
from assay.base.files import explain
from assay.objects.cache import DIR
from assay.objects.hashing import CHUNK, Algorithm, new, write_all
from assay.objects.remotes import Damage, Entry, Inside, Item
from assay.objects.remotes.options import Options
from assay.objects.remotes.retrying import Stopped, persevere
from assay.objects.staging import Staging, staging

A = TypeVar("A")
B = TypeVar("B")
Write = Callable[[Any], None]

BATCH_FILES = 1000
BATCH_SIZE = 256 << 20
"""After so many files or bytes what arrived gets its names: a `kill -9` costs no more."""


class Mismatch(Exception):
    """A file here has not the hash that its name says."""


class Source:
    """A file to be sent, read once: before its last bytes go out, its hash is compared."""

    def __init__(self, item: Item, *, stop: Event) -> None:
        self.item, self._stop = item, stop
        try:
            self.size = item.path.stat().st_size
        except OSError as error:
            raise explain(error, item.path) from error

    def __iter__(self) -> Iterator[bytes]:
        held = b""
        digest = new(self.item.algorithm)
        try:
            with self.item.path.open("rb", buffering=0) as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    if self._stop.is_set():
                        raise Stopped
                    if held:
                        yield held
                    held = chunk
        except OSError as error:
            raise explain(error, self.item.path) from error
        if digest.hexdigest() != self.item.oid.removesuffix(DIR):
            raise Mismatch
        yield held

    def read(self) -> bytes:
        """Return all bytes, checked."""
        return b"".join(self)


class Sink:
    """A file that receives bytes and hashes them; it begins again with each try."""

    def __init__(self, path: str, *, algorithm: Algorithm, stop: Event) -> None:
        self._path, self._algorithm, self.stop = path, algorithm, stop
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o444)
        except OSError as error:
            raise explain(error, path) from error
        self.restart()

    def restart(self) -> None:
        """Forget what came so far."""
        self.size, self._digest = 0, new(self._algorithm)
        if self._path != os.devnull:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)

    def write(self, chunk: Any) -> None:
        """Take the next bytes."""
        if self.stop.is_set():
            raise Stopped
        self._digest.update(chunk)
        self.size += len(chunk)
        try:
            write_all(self._descriptor, chunk)
        except OSError as error:
            raise explain(error, self._path) from error

    @property
    def oid(self) -> str:
        """The hash of what came."""
        return str(self._digest.hexdigest())

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class ParallelRemote(ABC):
    """A remote that is driven by threads; a kind of it adds how one file is moved and asked for.

    `send`, `receive` and `delete` may raise `Dropped`, and are tried again then.
    """

    def __init__(self, options: Options, *, jobs: int) -> None:
        self.options = options
        self.settings = options.settings
        self.jobs = options.count("jobs") or jobs

    @abstractmethod
    def send(self, key: str, source: Source) -> None:
        """Send one file, whole or not at all; what the source raises passes through."""

    @abstractmethod
    def receive(self, key: str, write: Write) -> None:
        """Hand all bytes of one file to `write`; the key "" is the address itself."""

    def receive_version(self, key: str, version: str, write: Write) -> None:
        """Hand all bytes of one version of a file to `write`; a kind without versions says so."""
        del write
        raise Error(
            f"a remote of this kind keeps no versions such as '{version}' of '{key}'",
            where=self.settings.where,
            hint="a bucket of S3 does, once its owner has switched them on",
        )

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove one file; one that is not there is fine."""

    def entries(self, prefix: str) -> Iterable[Entry]:
        """Go through the keys that begin with `prefix`; a kind that cannot list says so."""
        raise Error(
            f"a remote of this kind cannot list what it has below '{prefix}'",
            where=self.settings.where,
            hint="use a remote of another kind for this, such as s3 or ssh",
        )

    def inside(self, folder: str) -> Inside:
        """Return what lies in a folder; a kind that cannot list says so."""
        return Inside([], list(self.entries(folder)))

    def list_(self, prefix: str) -> Iterator[str]:
        """Go through the keys that begin with `prefix`, without those of files on their way."""
        return (entry.key for entry in self.entries(prefix) if not _is_hidden(entry.key))

    def upload(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files to the remote, many at once."""

        def one(item: Item) -> Damage | None:
            try:
                self.tried(lambda: self.send(item.key, Source(item, stop=stop)), stop)
            except Mismatch:
                return Damage(item, str(item.path))
            return None

        stop = Event()
        damaged: list[Damage] = []
        for damage in each(one, items, jobs=self.jobs, stop=stop):
            if damage is not None:
                damaged.append(damage)
            advance(1)
        return damaged

    def download(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files from the remote, many at once, into the cache that each path lies in."""
        damaged: list[Damage] = []
        roots: dict[Path, list[Item]] = {}
        for item in items:
            roots.setdefault(item.path.parent.parent, []).append(item)
        for root, below in roots.items():
            with staging(root) as stage:
                damaged += self._download(below, stage, advance)
        return damaged

    def _download(
        self, items: Sequence[Item], stage: Staging, advance: Callable[[int], None]
    ) -> list[Damage]:
        def one(move: tuple[Item, str]) -> tuple[Item, str, str, int]:
            item, name = move
            wanted = item.oid.removesuffix(DIR)
            sink = Sink(name, algorithm=item.algorithm, stop=stop)
            with contextlib.closing(sink):
                self._receive(item.key, sink, version=item.version)
                if sink.oid != wanted:  # once more: it may have been the way here
                    self._receive(item.key, sink, version=item.version)
            return item, name, sink.oid, sink.size

        stop = Event()
        damaged: list[Damage] = []
        ready: list[tuple[str, str]] = []
        waiting = 0
        moves = [(item, stage.new()) for item in items]
        try:
            for item, name, oid, size in each(one, moves, jobs=self.jobs, stop=stop):
                if oid == item.oid.removesuffix(DIR):
                    ready.append((name, str(item.path)))
                    waiting += size
                else:
                    damaged.append(Damage(item, self.address(item.key)))
                if len(ready) >= BATCH_FILES or waiting >= BATCH_SIZE:
                    batch, ready, waiting = ready, [], 0
                    stage.publish(batch)
                advance(1)
        finally:
            stage.publish(ready)
        return damaged

    def _receive(self, key: str, sink: Sink, *, version: str | None = None) -> None:
        def once() -> None:
            sink.restart()
            if version is None:
                self.receive(key, sink.write)
            else:
                self.receive_version(key, version, sink.write)

        self.tried(once, sink.stop)

    def get_file(
        self,
        key: str,
        path: Path,
        *,
        algorithm: Algorithm = "md5",
        version: str | None = None,
    ) -> tuple[str, int]:
        """Write one file, whatever its hash, over `path`; return its hash and size."""
        sink = Sink(str(path), algorithm=algorithm, stop=Event())
        with contextlib.closing(sink):
            self._receive(key, sink, version=version)
        return sink.oid, sink.size

    def remove(self, keys: Sequence[str]) -> None:
        """Remove files, many at once."""
        stop = Event()
        for _ in each(
            lambda key: self.tried(lambda: self.delete(key), stop), keys, jobs=self.jobs, stop=stop
        ):
            pass

    def ask_each(self, there: Callable[[str], bool], keys: Iterable[str]) -> set[str]:
        """Return the keys that `there` says yes to, many asked at once."""
        stop = Event()

        def one(key: str) -> str | None:
            return key if self.tried(lambda: there(key), stop) else None

        return {k for k in each(one, list(keys), jobs=self.jobs, stop=stop) if k is not None}

    def tried(self, call: Callable[[], B], stop: Event | None = None) -> B:
        """Return what `call` returns, trying again when the network drops it."""
        return persevere(call, where=self.settings.where, stop=stop)

    def address(self, key: str) -> str:
        """Return the address of a file for people, without secrets."""
        return self.options.conceal(f"{self.settings.url.rstrip('/')}/{key}")


def _is_hidden(key: str) -> bool:
    return key.startswith(".") or "/." in key


def each(call: Callable[[A], B], things: Sequence[A], *, jobs: int, stop: Event) -> Iterator[B]:
    """Go through what `call` returns for each thing, in the order in which they are done.

    The first error stops what has not begun, lets the rest end, hands out what ended well, and is
    raised then. An interruption waits for nobody: a thread may hang in a request for a minute.
    """
    if jobs == 1:
        yield from map(call, things)
        return
    todo: SimpleQueue[tuple[A] | None] = SimpleQueue()
    done: SimpleQueue[tuple[B] | BaseException] = SimpleQueue()
    threads = [
        Thread(target=_work, args=(call, todo, done), daemon=True, name="assay-remote")
        for _ in range(min(jobs, len(things)))
    ]
    for thread in threads:
        thread.start()
    waiting = iter(things)
    n_running = 0
    failed: BaseException | None = None
    try:
        while True:
            if failed is None:
                for one in islice(waiting, 2 * jobs - n_running):
                    todo.put((one,))
                    n_running += 1
            if not n_running:
                break
            answer = done.get()
            n_running -= 1
            if isinstance(answer, tuple):
                yield answer[0]
            elif failed is None or isinstance(failed, Stopped):
                failed = answer
                stop.set()
    finally:
        stop.set()
        for _ in threads:
            todo.put(None)
    if failed is not None:
        raise failed


def apart(call: Callable[[], B]) -> B:
    """Return what `call` returns, from another thread: this one can be interrupted meanwhile."""
    if current_thread() is not main_thread():
        return call()
    return next(each(lambda _: call(), ["once"], jobs=2, stop=Event()))


def _work(
    call: Callable[[A], B],
    todo: SimpleQueue[tuple[A] | None],
    done: SimpleQueue[tuple[B] | BaseException],
) -> None:
    while (one := todo.get()) is not None:
        try:
            done.put((call(one[0]),))
        except BaseException as error:  # noqa: BLE001 -- raised again by who asked
            done.put(error)
