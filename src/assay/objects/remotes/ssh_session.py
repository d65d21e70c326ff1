"""One SSH connection with SFTP on it, for ordinary threads: its loop has a thread of its own.

Needs `assay[ssh]`. The host's key is checked against the known hosts of the user, and
`~/.ssh/config` counts, as it does for `ssh`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from assay.base.errors import Error
from assay.objects.remotes.options import Options, missing_extra
from assay.objects.remotes.retrying import Dropped

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")


class Session:
    """A connection that is made when it is first used, and made again when it broke off.

    Parameters
    ----------
    options : Options
        The options of the remote.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._arguments = _arguments(options)
        self.host = str(self._arguments["host"])
        self._lock: asyncio.Lock | None = None
        self._open: list[Any] = []  # the connection and its SFTP client; the finalizer has it too
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        weakref.finalize(self, _end, self._loop, self._thread, self._open)

    def run(self, work: Callable[[asyncssh.SFTPClient], Coroutine[Any, Any, T]]) -> T:
        """Return what `work` gives for the SFTP client."""

        async def job() -> T:
            client = await self._client()
            try:
                return await work(client)
            except BaseException as error:
                if _is_broken(error) and self._open and self._open[1] is client:
                    self._open[0].abort()
                    self._open.clear()
                raise

        with explained(self._options, self.host):
            future = asyncio.run_coroutine_threadsafe(job(), self._loop)
            try:
                return future.result()
            except BaseException:
                future.cancel()
                raise

    async def _client(self) -> asyncssh.SFTPClient:
        import asyncssh

        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if not self._open:
                connection = await asyncssh.connect(**self._arguments)
                try:
                    client = await connection.start_sftp_client()
                except BaseException:
                    connection.abort()
                    raise
                self._open += [connection, client]
            found: asyncssh.SFTPClient = self._open[1]
            return found


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread, opened: list[Any]) -> None:
    """Close the connection and the loop; at the latest when Python ends."""

    async def close() -> None:
        if opened:
            opened[0].close()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(opened[0].wait_closed(), 5)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    with contextlib.suppress(Exception):
        asyncio.run_coroutine_threadsafe(close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join(5)
        if not thread.is_alive():
            loop.close()


def _arguments(options: Options) -> dict[str, Any]:
    """Return what `asyncssh.connect` is given; what is not set comes from `~/.ssh/config`."""
    if importlib.util.find_spec("asyncssh") is None:
        raise missing_extra(options.settings, extra="ssh")
    parts = urlsplit(options.settings.url)
    if not parts.hostname:
        raise options.fail(
            "its address names no host", hint="give one such as 'ssh://user@host/folder'"
        )
    if options.flag("gss_auth") and importlib.util.find_spec("gssapi") is None:
        raise options.fail(
            "'gss_auth' needs a package that is not installed", hint="pip install gssapi"
        )
    keyfile = options.file("keyfile")
    given: dict[str, Any] = {
        "host": parts.hostname,
        "port": options.count("port") or parts.port,
        "username": options.text("user") or (unquote(parts.username) if parts.username else None),
        "password": options.password() or (unquote(parts.password) if parts.password else None),
        "passphrase": options.password("passphrase", what="passphrase of the key"),
        "client_keys": None if keyfile is None else [str(keyfile)],
        "connect_timeout": options.number("timeout") or 30,
        "login_timeout": options.number("timeout") or 30,
        "keepalive_interval": 15,
        "gss_auth": options.flag("gss_auth"),
    }
    given = {name: value for name, value in given.items() if value is not None}
    if not options.flag("allow_agent", default=True):
        given["agent_path"] = None
    return given


def _is_broken(error: BaseException) -> bool:
    """Say whether an error means that the connection is gone."""
    import asyncssh

    gone = (asyncssh.DisconnectError, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)
    return isinstance(error, (*gone, ConnectionError, asyncssh.ChannelOpenError))


@contextlib.contextmanager
def explained(options: Options, host: str) -> Iterator[None]:
    """Turn what `asyncssh` says into an error that names what to do, or into `Dropped`."""
    import asyncssh

    def fail(what: str, hint: str) -> Error:
        return Error(what, where=options.settings.where, hint=hint)

    again = "look at the address and the network, then run the command again"
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise fail(
            f"the key of '{host}' is not among the known hosts, or another one",
            f"see it with 'ssh {host}', compare it with what its owner says, and accept it there",
        ) from error
    except asyncssh.PermissionDenied as error:
        raise fail(
            f"'{host}' does not let us in: user, password or key is wrong",
            f"try 'ssh {host}'; set 'user', 'keyfile' or 'password' of the remote",
        ) from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise fail(
            "the key cannot be read: no private key, or the passphrase is missing or wrong",
            "look at 'keyfile', 'passphrase' and 'ask_passphrase' of the remote",
        ) from error
    except (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded) as error:
        raise full(options) from error
    except asyncssh.SFTPPermissionDenied as error:
        raise fail(
            f"'{host}' refuses access to the folder of the remote",
            "look at its owner and permissions there",
        ) from error
    except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
        raise Dropped("the connection to the remote broke off") from error
    except asyncssh.SFTPError as error:
        if any(sign in str(error).lower() for sign in ("no space", "disk full", "quota")):
            raise full(options) from error
        raise fail(f"the remote says: {options.conceal(error.reason)}", again) from error
    except asyncssh.DisconnectError as error:
        raise Dropped(
            f"the connection to the remote broke off: {options.conceal(error.reason)}"
        ) from error
    except asyncssh.ChannelOpenError as error:
        raise fail(
            f"'{host}' offers no SFTP: {options.conceal(error.reason)}",
            "the server needs the subsystem 'sftp'",
        ) from error
    except TimeoutError as error:
        raise Dropped(f"'{host}' cannot be reached: no answer in time") from error
    except OSError as error:
        reason = _reason(error)
        raise Dropped(f"'{host}' cannot be reached: {reason}") from error


def _reason(error: OSError) -> str:
    """Return what the system says of an error; `asyncio` puts the address in its place."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (error.strerror or str(error)).lower()


def full(options: Options) -> Error:
    """Return the error that says that the disk of the remote is full."""
    return Error(
        "the disk of the remote is full",
        where=options.settings.where,
        hint="make room there, then run the command again: what is done stays done",
    )
