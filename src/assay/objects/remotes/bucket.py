"""Objects in a bucket, through `obstore`: what S3, Google Cloud Storage and Azure have in common.

A put is atomic there: an object is seen whole or not at all, and a multipart upload that fails is
aborted. Requests are tried again by `obstore`; a body that breaks off is tried again by us.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from assay.base.errors import Error, NotFound
from assay.objects.hashing import Algorithm
from assay.objects.remotes import Entry, Inside
from assay.objects.remotes.bucket_store import place
from assay.objects.remotes.listing import find_by_listing
from assay.objects.remotes.options import Options
from assay.objects.remotes.parallel import ParallelRemote, Source, Write, apart
from assay.objects.remotes.retrying import Dropped

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

SMALL = 4 << 20
"""Up to this size in bytes an object goes in one request."""
_PARTS = 9000  # S3 takes 10,000 of them
_FEW = 64
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")


class BucketRemote(ParallelRemote):
    """A remote in a bucket; a kind of it makes the store.

    Parameters
    ----------
    options : Options
        The options, checked.
    store : obstore.store.ObjectStore
        The bucket, below the remote's prefix.
    split : bool
        Whether a listing may begin anywhere at no cost, so that parts can be asked in parallel.
    """

    def __init__(self, options: Options, store: Any, *, split: bool) -> None:
        super().__init__(options, jobs=min(32, max(8, 4 * (os.cpu_count() or 2))))
        self._store = store
        self._split = split
        self._large = BoundedSemaphore(2)  # each holds several parts in memory
        self._seen = False
        self.sent: dict[str, Entry] = {}  # what was sent to a bucket that keeps versions
        self._is_bucket = place(options)[1] is None

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Go through the files below `prefix`: a request for each thousand.

        A console writes an empty `folder/` for each folder, which is no file: `obstore` takes the
        slash away, so what is empty is asked for by its name.
        """
        for page in self.pages(prefix.strip("/"), ""):
            empty = {entry.key for entry in page if not entry.size}
            held = empty - self._ask(empty) if empty else empty
            yield from (entry for entry in page if entry.key not in held)

    def inside(self, folder: str) -> Inside:
        """Return what lies in a folder: a listing that ends at the next `/`."""
        import obstore

        folder = folder.strip("/")
        with self._explained(None):
            found = apart(lambda: obstore.list_with_delimiter(self._store, folder or None))
        self._seen = True
        return Inside(
            [str(prefix).rstrip("/") for prefix in found["common_prefixes"]],
            [_entry(meta) for meta in found["objects"] if meta["path"] != folder],
        )

    def pages(self, folder: str, after: str) -> Iterator[list[Entry]]:
        """Go through the listing of a folder from the first key above `after`."""
        import obstore

        with self._explained(None):
            pages = obstore.list(
                self._store, folder or None, offset=after or None, chunk_size=1000
            )
            while (page := apart(lambda: next(pages, None))) is not None:
                self._seen = True
                yield [_entry(meta) for meta in page]

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there: by a listing where that is the shorter way."""
        wanted = set(keys)
        if len(wanted) <= _FEW:
            there = self._ask(wanted)
        else:
            there = find_by_listing(wanted, self.pages, self._ask, split=self._split)
        if wanted and not there and not self._seen:
            next(iter(self.pages("", "")), None)  # is there a bucket at all? a HEAD cannot tell
        return there

    def _ask(self, keys: set[str]) -> set[str]:
        return self.ask_each(lambda key: self.stat(key) is not None, keys)

    def stat(self, key: str) -> Entry | None:
        """Return what the bucket says of one object, or None."""
        import obstore

        if not key and self._is_bucket:
            return None  # a HEAD would answer for the bucket
        try:
            with self._explained(key):
                return _entry(apart(lambda: obstore.head(self._store, key)))
        except NotFound:
            return None

    def send(self, key: str, source: Source) -> None:
        """Send one object, in parts where it is large."""
        import obstore

        if source.size <= SMALL:
            content = source.read()
            with self._explained(key):
                put = obstore.put(self._store, key, content, use_multipart=False)
        else:
            part = max(2 * SMALL, -(-source.size // _PARTS))
            with self._large, self._explained(key):
                put = obstore.put(
                    self._store, key, iter(source), chunk_size=part, max_concurrency=4
                )
        if self.settings.is_versioned:
            self.sent[key] = Entry(key, source.size, put["e_tag"], version=put["version"])

    def receive(self, key: str, write: Write) -> None:
        """Receive one object."""
        self._receive_as(key, None, write)

    def receive_version(self, key: str, version: str, write: Write) -> None:
        """Receive one version of an object."""
        self._receive_as(key, version, write)

    def stat_version(self, key: str, version: str) -> Entry | None:
        """Return what the bucket says of one version of an object, or None."""
        import obstore

        options: Any = {"version": version, "head": True}
        try:
            with self._explained(key):
                return _entry(obstore.get(self._store, key, options=options).meta)
        except NotFound:
            return None

    def _receive_as(self, key: str, version: str | None, write: Write) -> None:
        import obstore

        options: Any = None if version is None else {"version": version}
        with self._explained(key):
            found = obstore.get(self._store, key, options=options)
            if found.meta["size"] <= SMALL:
                with self._breaking_off():
                    content = found.bytes()
                write(content)
                return
            stream = iter(found.stream(min_chunk_size=1 << 20))
            while True:
                with self._breaking_off():
                    chunk = next(stream, None)
                if chunk is None:
                    return
                write(chunk)

    def delete(self, key: str) -> None:
        """Remove one object."""
        import obstore

        with contextlib.suppress(NotFound), self._explained(key):
            obstore.delete(self._store, key)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects: a thousand in a request where the service can."""
        import obstore

        for start in range(0, len(keys), 1000):
            some = list(keys[start : start + 1000])
            try:
                with self._explained(None):
                    apart(lambda: obstore.delete(self._store, some))  # noqa: B023 -- waited for
            except NotFound:  # this service says so of one: ask for each
                super().remove(some)

    def get_file(
        self,
        key: str,
        path: Path,
        *,
        algorithm: Algorithm = "md5",
        version: str | None = None,
    ) -> tuple[str, int]:
        """Write one object over `path`; return its hash and size."""
        get = super().get_file
        return apart(lambda: get(key, path, algorithm=algorithm, version=version))

    @contextlib.contextmanager
    def _breaking_off(self) -> Iterator[None]:
        """Say that a body which ends in the middle may be asked for again."""
        from obstore.exceptions import BaseError

        try:
            yield
        except BaseError as error:
            raise Dropped(self._told(str(error))) from error

    @contextlib.contextmanager
    def _explained(self, key: str | None) -> Iterator[None]:
        """Turn what `obstore` says into an error that names what to do."""
        from obstore.exceptions import BaseError

        try:
            yield
        except FileNotFoundError as error:
            raise self._missing(str(error), key) from error
        except BaseError as error:
            raise self._error(str(error)) from error

    def _missing(self, text: str, key: str | None) -> Error:
        if _code(text) in {"NoSuchBucket", "ContainerNotFound"}:
            return self._error(text)
        return NotFound(
            "the file is not on the remote", where=self.address(key or "")
        )  # fmt: skip

    def _error(self, text: str) -> Error:
        status, code = _status(text), _code(text)
        bucket = urlsplit(self.settings.url).netloc.rpartition("@")[2]
        if code in {"NoSuchBucket", "ContainerNotFound"} or (status == 404 and "bucket" in text):
            return self._fail(
                f"there is no bucket '{bucket}'", "make it, or correct the address of the remote"
            )
        if _no_credentials(text):
            return self._fail("no credentials were found", self.credentials_hint)
        if status == 507 or code in {"QuotaExceeded", "InsufficientStorage", "EntityTooLarge"}:
            return self._fail(
                f"the remote takes no more ({code or status})",
                "make room there, then run the command again: what is done stays done",
            )
        if status == 401 or code in _WRONG:
            return self._fail(
                f"the credentials are wrong ({code or status})", self.credentials_hint
            )
        if status == 403:
            return self._fail(
                f"access to '{bucket}' is refused ({code or status})",
                "these credentials lack the right; ask who owns the bucket",
            )
        return self._fail(
            self._told(text), "look at the address and the network, then run the command again"
        )

    credentials_hint = "set them in the environment or with 'assay remote modify --local'"

    def _fail(self, what: str, hint: str) -> Error:
        return Error(what, where=self.settings.where, hint=hint)

    def _told(self, text: str) -> str:
        """Return the one line of a long text that a person can use."""
        status, code = _status(text), _code(text)
        if status is not None:
            message = re.search(r"<Message>([^<]*)</Message>", text)
            told = f": {message[1]}" if message else ""
            return self.options.conceal(
                f"the remote answers {status} {code or ''}".rstrip() + told
            )
        reasons: tuple[tuple[str, str], ...] = (
            ("dns error", "its name is not known"),
            ("ConnectionRefused", "connection refused"),
            ("InvalidCertificate", "its certificate is not trusted"),
            ("TimedOut", "no answer in time"),
            ("kind: Timeout", "no answer in time"),
            ("kind: Connect", "no connection"),
        )
        for sign, reason in reasons:
            if sign in text:
                return f"the remote cannot be reached: {reason}"
        said = self.options.conceal(text.partition("\n")[0].rpartition(" - ")[2])
        if "HTTP error" in text or "reqwest" in text:
            return f"the connection to the remote broke off: {said}"
        return f"the remote's answer is not understood: {said}"


_WRONG = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
}


def _no_credentials(text: str) -> bool:
    """Say whether a text tells that the cloud's own machines were asked for credentials."""
    return any(
        sign in text for sign in ("169.254.169.254", "metadata.google.internal", "metadata.google")
    )


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1]) if found else None


def _code(text: str) -> str | None:
    found = _CODE.search(text)
    return found[1] if found else None


def _entry(meta: Any) -> Entry:
    moment = meta["last_modified"]
    return Entry(
        meta["path"],
        meta["size"],
        meta.get("e_tag"),
        int(moment.timestamp() * 1000),
        version=meta.get("version"),
    )
