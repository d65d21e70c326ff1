"""Another repository that data are taken from, and a small web server."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from tests import make

FILES = {
    "d/a": "1\n",
    "d/sub/b": "22\n",
    "s.csv": "x,y\n1,2\n",
    "code/data/q": "q\n",
    "code/x.py": "x = 1\n",
    "code/deep/y.txt": "deep\n",
    "run.sh": "#!/bin/sh\n",
    "m.json": "{}\n",
}
TRACKED = ("d", "s.csv", "code/data")


def repository(folder: Path, *, store: Path | None = None) -> Path:
    """Make a project with data and code, tagged v1, and then a second commit with other data.

    With a `store` that is its default remote, and has all its data.
    """
    root = make.write(make.project(folder), FILES)
    (root / "run.sh").chmod(0o755)
    make.done(root, "add", "--no-profile", *TRACKED)
    if store is not None:
        make.done(root, "remote", "add", "-d", "st", str(store))
    make.commit(root, "one")
    make.git(root, "tag", "v1")
    change(root, "x,y\n3,4\n")
    if store is not None:
        share(root, store)
    shutil.rmtree(root / ".assay")  # real DVC would list it
    return root


def change(root: Path, text: str) -> str:
    """Commit another content of `s.csv`, and return the commit."""
    (root / "s.csv").write_text(text)
    make.done(root, "add", "--no-profile", "s.csv")
    return make.commit(root, "changed")


def share(root: Path, store: Path) -> None:
    """Copy all objects of a project to a folder that is its remote: the layout is the same."""
    shutil.copytree(root / ".dvc" / "cache", store, dirs_exist_ok=True)


@contextlib.contextmanager
def served(folder: Path, headers: dict[str, str] | None = None) -> Iterator[str]:
    """Serve a folder over HTTP, with further headers, and give its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, directory=str(folder), **options)

        def end_headers(self):
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
