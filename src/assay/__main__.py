"""The `assay` command. `--version` is answered before anything else is imported."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from assay import __version__

        sys.stdout.write(f"assay {__version__}\n")
        return 0
    import gc

    gc.set_threshold(50_000, 20, 20)  # commands are short; collecting less often saves 2 to 5 %
    from assay.cli import run

    code = run(sys.argv[1:])
    if "_duckdb" in sys.modules:
        _end(code)
    else:
        gc.disable()
        gc.freeze()  # all ends here: to look for garbage once more would take 10 ms
    return code


def _end(code: int) -> None:
    """End the process before its modules are taken apart: DuckDB would list what is still held.

    All else is as at any end: exit handlers run, and what was printed is written. A thread that
    still works is waited for by the interpreter itself: then this returns, and does nothing.
    """
    import atexit
    import os
    import threading

    others = [t for t in threading.enumerate() if t is not threading.main_thread()]
    if not all(thread.daemon for thread in others):
        return
    atexit._run_exitfuncs()  # noqa: SLF001 -- there is no other way to have them run first
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # its reader is gone
        return
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
