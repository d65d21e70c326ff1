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
    if "_duckdb" not in sys.modules:  # which lists what it thinks is lost
        gc.disable()
        gc.freeze()  # all ends here: to look for garbage once more would take 10 ms
    return code


if __name__ == "__main__":
    sys.exit(main())
