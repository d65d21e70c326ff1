"""Real servers for tests: moto, Azurite, SFTP, WebDAV, and a proxy that breaks off."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import errno
import hashlib
import hmac
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "A-secret-of-Ours"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int, *, process: subprocess.Popen[bytes] | None = None) -> None:
    for _ in range(600):
        if process is not None and process.poll() is not None:
            raise RuntimeError("the server ended")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """S3, as moto has it, in a process of its own; yields its address."""
    port = free_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, process=process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def ask(method: str, url: str, body: bytes | None = None) -> bytes:
    """Send one request to moto, which believes every signature."""
    signed = f"Credential={KEYS['access_key_id']}/20260101/us-east-1/s3/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {signed}, SignedHeaders=host, Signature=x"}
    headers["Content-Type"] = "application/octet-stream"
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bytes(answer.read())


def open_to_all(service: str, bucket: str) -> None:
    """Make a bucket of moto that asks nobody who they are: Google's client signs otherwise."""
    servers_own = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": servers_own}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    ask("PUT", f"{service}/{bucket}")
    ask("PUT", f"{service}/{bucket}?policy", json.dumps(policy).encode())


AZURITE = Path(__file__).parents[3] / ".peers/azurite/node_modules/.bin/azurite-blob"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = base64.b64encode(
    b"a key of sixty-four bytes, as long as those that Azure gives us!"
).decode()


def connection_string(url: str) -> str:
    return f"BlobEndpoint={url};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY}"


@contextlib.contextmanager
def azurite() -> Iterator[str]:
    """Azure Blob Storage, as Azurite has it, in a process of its own; yields its address."""
    if not AZURITE.exists() and os.environ.get("CI") != "true":
        pytest.skip("Azurite is not in .peers/azurite: 'make test' installs it where npm is")
    port = free_port()
    command = [
        str(AZURITE), "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry",
        "--silent", "--blobHost", "127.0.0.1", "--blobPort", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"},
    )
    try:
        wait_for(port, process=process)
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"
    finally:
        process.terminate()
        process.wait(10)


def make_container(url: str, name: str) -> None:
    """Make a container, signed as 'Authorize with Shared Key' of Azure's REST reference says."""
    date = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
    signed = "".join(f"{key}:{value}\n" for key, value in headers.items())
    text = f"PUT{chr(10) * 12}{signed}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    key = base64.b64decode(ACCOUNT_KEY)
    mark = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{mark}", "Content-Length": "0"}
    address = f"{url}/{name}?restype=container"
    request = urllib.request.Request(address, method="PUT", headers=headers)
    urllib.request.urlopen(request, timeout=10).close()


class Plan:
    """What a proxy does to the next connections: `cuts` holds after how many bytes each ends."""

    def __init__(self) -> None:
        self.cuts: list[int] = []
        self.upload = False
        self.connections = 0


@contextlib.contextmanager
def breaking_proxy(port: int) -> Iterator[tuple[int, Plan]]:
    """Pass bytes on to a port of this machine, and break off where the plan says so."""
    plan = Plan()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            plan.connections += 1
            with socket.create_connection(("127.0.0.1", port)) as there:
                back = threading.Thread(target=self._pass, args=(there, self.request, False))
                back.start()
                self._pass(self.request, there, True)
                back.join()

        def _pass(self, source: socket.socket, target: socket.socket, up: bool) -> None:
            with contextlib.suppress(OSError):
                while chunk := source.recv(16384):
                    if up == plan.upload and plan.cuts and plan.cuts[0] < len(chunk):
                        cut = plan.cuts.pop(0)
                        target.sendall(chunk[:cut])
                        break
                    if up == plan.upload and plan.cuts:
                        plan.cuts[0] -= len(chunk)
                    target.sendall(chunk)
            for one in (source, target):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1], plan
        finally:
            server.shutdown()


class SFTP(NamedTuple):
    """A running SFTP server: port, folder, two forms of a user's key, and known hosts."""

    port: int
    folder: Path
    key: Path
    locked_key: Path
    known_hosts: Path


@contextlib.contextmanager
def sftp(home: Path, folder: Path, *, full: Callable[[], bool] = lambda: False) -> Iterator[SFTP]:
    """Serve a folder by SFTP to 'ada', with her key or the password 'pa55word'."""
    import asyncssh

    own, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    home.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    key = home / "id_test"
    user.write_private_key(str(key))
    user.write_private_key(str(home / "id_locked"), passphrase="open sesame", rounds=50)
    authorized = home / "authorized"
    authorized.write_bytes(user.export_public_key())

    open_: list[Any] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: Any) -> None:
            open_.append(conn)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("ada", "pa55word")

    class Files(asyncssh.SFTPServer):
        def __init__(self, chan: Any) -> None:
            super().__init__(chan, chroot=str(folder).encode())

        def write(self, file_obj: object, offset: int, data: bytes) -> Any:
            if full():
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(file_obj, offset, data)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> Any:
        return await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[own],
            authorized_client_keys=str(authorized),
            sftp_factory=Files,
        )

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    port = server.get_port()
    known = home / "known_hosts"
    public = own.export_public_key().decode().strip()
    known.write_text(f"[127.0.0.1]:{port} {public}\n")

    async def stop() -> None:
        server.close()
        for connection in open_:
            connection.abort()
        await server.wait_closed()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    try:
        yield SFTP(port, folder, key, home / "id_locked", known)
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def webdav(folder: Path) -> Iterator[str]:
    """Serve a folder by WebDAV to 'ada' with 'pa55word', in a process; yields host and port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    code = f"""
from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp
users = {{"*": {{"ada": {{"password": "pa55word"}}}}}}
app = WsgiDAVApp({{
    "provider_mapping": {{"/dav": {str(folder)!r}}}, "verbose": 0,
    "simple_dc": {{"user_mapping": users}}, "logging": {{"enable": False}},
}})
wsgi.Server(("127.0.0.1", {port}), app).start()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, process=process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
