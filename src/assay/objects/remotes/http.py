"""A folder of a web server: read with GET, written with POST or what `method` says.

HTTP has no listing and no rename: each file is asked for, and that an upload which breaks off
leaves nothing behind is the server's part. It never gets the last bytes of a damaged file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage, HTTPResponse

from assay.base.errors import NotFound
from assay.objects.remotes import Entry, RemoteSettings
from assay.objects.remotes.http_auth import WHO, from_netrc, signer
from assay.objects.remotes.http_client import CHUNK, Client, read_chunks, without_user
from assay.objects.remotes.options import Options
from assay.objects.remotes.parallel import ParallelRemote, Source, Write

KNOWN = frozenset(
    [
        "auth",
        "custom_auth_header",
        "user",
        "password",
        "ask_password",
        "ssl_verify",
        "method",
        "connect_timeout",
        "read_timeout",
    ]
)


class HTTPRemote(ParallelRemote):
    """A remote on a web server."""

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN)
        super().__init__(options, jobs=8)
        url, user, password = without_user(settings.url)
        if user is None and not options.settings.options.keys() & WHO:
            user, password = from_netrc(url)
        sign = signer(options, user=user, password=password)
        self._client = Client(options, url=url, sign=sign)
        self._method = (options.text("method") or "POST").upper()
        self._asks = "HEAD"
        self._is_digest = (options.text("auth") or "").lower() == "digest"

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there: HTTP has a question for each."""
        refused: list[HTTPResponse] = []

        def there(key: str) -> bool:
            entry, answer = self._look(key)
            if answer.status == 403:
                refused.append(answer)
            return entry is not None

        found = self.ask_each(there, set(keys))
        if refused and not found:  # where a few are refused these are what nobody may list
            raise self._client.refused(refused[0], "to answer")
        return found

    def stat(self, key: str) -> Entry | None:
        """Return what the server says of one file, or None."""
        entry, answer = self.tried(lambda: self._look(key))
        if answer.status == 403:
            raise self._client.refused(answer, "to answer")
        return entry

    def _look(self, key: str) -> tuple[Entry | None, HTTPResponse]:
        address = self._client.address(key)
        if self._asks == "HEAD":
            with self._client.ask("HEAD", address) as answer:
                if answer.status not in {405, 501}:
                    return _entry(key, answer), answer
            self._asks = "GET"
        with self._client.ask("GET", address, headers={"Range": "bytes=0-0"}) as answer:
            answer.read(CHUNK)
            return _entry(key, answer), answer

    def headers(self, key: str) -> Iterator[tuple[HTTPMessage, str]]:
        """Go through what HEAD tells of a file and then what GET does, with the address of each.

        A method that the server does not answer well is left out; it ends where a file is absent.
        """
        for method in ("HEAD", "GET"):
            status, told = self.tried(lambda method=method: self._told(key, method))  # type: ignore[misc]
            if status in {404, 410}:
                return
            if 200 <= status < 300:
                yield told

    def _told(self, key: str, method: str) -> tuple[int, tuple[HTTPMessage, str]]:
        with self._client.ask(method, self._client.address(key)) as answer:
            if answer.status == 403:
                raise self._client.refused(answer, "to answer")
            return answer.status, (answer.headers, answer.url)

    def send(self, key: str, source: Source) -> None:
        """Send one file."""
        if self._is_digest and self._client.demand is None:
            self._look(key)  # the server's question comes before the body, not after it
        address = self._client.address(key)
        with self._client.ask(self._method, address, body=source, size=source.size) as answer:
            answer.read(CHUNK)
            if answer.status >= 300:
                raise self._client.refused(answer, f"{self._method} of a file")

    def receive(self, key: str, write: Write) -> None:
        """Receive one file."""
        client = self._client
        with client.ask("GET", client.address(key)) as answer:
            if answer.status in {404, 410}:
                raise NotFound("the file is not on the remote", where=self.address(key))
            if answer.status >= 300:
                raise client.refused(answer, "to send a file")
            with client.talking(self.settings.name):
                for chunk in read_chunks(answer):
                    write(chunk)

    def delete(self, key: str) -> None:
        """Remove one file, where the server has DELETE."""
        with self._client.ask("DELETE", self._client.address(key)) as answer:
            answer.read(CHUNK)
            if answer.status >= 300 and answer.status not in {404, 410}:
                raise self._client.refused(answer, "to remove a file")


def _entry(key: str, answer: HTTPResponse) -> Entry | None:
    """Return what the headers of an answer say of a file."""
    if answer.status == 416:  # a range of an empty file
        return Entry(key, 0)
    if answer.status not in {200, 204, 206}:
        return None
    length = answer.getheader("Content-Length")
    if answer.status == 206:
        length = answer.getheader("Content-Range", "").rpartition("/")[2]
    size = int(length) if length and length.isdigit() else None
    etag = answer.getheader("ETag")
    return Entry(key, size, etag.strip('"') if etag else None, _moment(answer))


def _moment(answer: HTTPResponse) -> int | None:
    stamp = answer.getheader("Last-Modified")
    if stamp is None:
        return None
    try:
        return int(parsedate_to_datetime(stamp).timestamp() * 1000)
    except ValueError:
        return None
