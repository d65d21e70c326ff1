"""The main job, from raw data on: run it with `make demo`, or `python demo.py [FOLDER]`.

Each step is a command that you could type; it is shown with what it prints. At the end the
project stays where it is, with a page of results.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import results

HERE = Path(__file__).resolve().parent
SOURCES = (".gitignore", "dvc.yaml", "params.yaml", "README.md")
IDENTITY = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.org",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.org",
}
STEPS = 9


class Demo:
    """Says what it does, runs commands in a folder, and shows what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.start = folder, 0, time.monotonic()
        # the commands and the pipeline's Python are those beside the interpreter of this script
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.env = {**os.environ, **IDENTITY, "PATH": path}

    def step(self, title: str) -> None:
        self.count += 1
        seconds = time.monotonic() - self.start
        print(f"\n[{self.count}/{STEPS}] {title}  ({seconds:.0f} s)", flush=True)

    def run(self, command: str, *, folder: Path | None = None, show: bool = True) -> str:
        """Run a command line; one that fails ends the demo with what it said."""
        if show:
            print(f"  $ {command}", flush=True)
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder or self.folder,
            env=self.env,
            text=True,
            capture_output=True,
            check=False,
        )
        if show:
            print("".join(f"    {line}\n" for line in done.stdout.splitlines()), end="")
        if done.returncode != 0:
            sys.exit(f"'{command}' failed with exit status {done.returncode}:\n{done.stderr}")
        return done.stdout

    def expect(self, output: str, words: str) -> None:
        """End the demo unless a command said what it promises to say."""
        if words not in output:
            sys.exit(f"expected {words!r}, but saw:\n{output}")


def make_project(folder: Path) -> None:
    """Copy the code, and cut the rows of 2011 out of the data: 2012 has not happened yet."""
    for name in (*SOURCES, *(path.name for path in HERE.glob("*.py"))):
        if name not in {"demo.py", "results.py"}:
            shutil.copy(HERE / name, folder / name)
    (folder / "data").mkdir()
    lines = (HERE / "data" / "bikes.csv").read_text().splitlines(keepends=True)
    rows = [line for line in lines[1:] if line.split(",")[1] < "2012"]
    (folder / "data" / "2011.csv").write_text("".join([lines[0], *rows]))


def set_parameter(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace(old, new))


def main() -> None:
    top = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="assay-demo-"))
    project = top.resolve() / "bikes"
    project.mkdir(parents=True)
    demo = Demo(project)
    print(f"Bikes: how many will be rented in an hour, said a week before. In {project}")

    demo.step("Track the data of 2011; its statistics are made on the way")
    make_project(project)
    demo.run("git init --quiet --initial-branch=main .")
    demo.run("assay init")
    demo.run("assay add data/2011.csv")
    demo.run("git add --all && git commit --quiet --message 'Bikes of 2011'")
    demo.run("assay profile data/2011.csv | head -4")

    demo.step("Run the pipeline; code, data, parameters, environment and results are recorded")
    demo.run("assay repro")
    demo.run("git add --all && git commit --quiet --message 'First model'")
    demo.run("assay metrics show")

    demo.step("Run it again: nothing has changed, so nothing runs")
    demo.expect(demo.run("assay repro"), "up to date")

    demo.step("Change a parameter, run what depends on it, compare the two runs")
    set_parameter(project, "max_leaf_nodes: 31", "max_leaf_nodes: 8")
    demo.run("assay repro")
    demo.run("assay runs diff")

    demo.step("Go back: the outputs come from the cache, nothing runs")
    demo.run("git checkout --quiet params.yaml")
    demo.expect(demo.run("assay repro"), "Nothing had to run.")
    demo.expect(demo.run("assay data status --json"), '"uncommitted"')

    demo.step("Push to a remote (a folder here), clone, pull: the same")
    demo.run("assay remote add --default storage ../storage")
    demo.run("git add --all && git commit --quiet --message 'Share the data'")
    demo.run("assay push")
    demo.run("git clone --quiet bikes colleague", folder=project.parent)
    demo.run("assay pull", folder=project.parent / "colleague")
    demo.expect(demo.run("assay status", folder=project.parent / "colleague"), "up to date")

    demo.step("Do the first run again, from its record alone")
    first = "latest~1"
    verdict = demo.run(f"assay reproduce {first}")
    demo.expect(verdict, "identical to the bit")

    demo.step("Where does the model come from?")
    demo.run("assay trace model.skops")

    demo.step("Write a page of results")
    page = results.write(project, lambda command: demo.run(command, show=False))
    print(f"    {page}")

    seconds = time.monotonic() - demo.start
    print(f"\nDone in {seconds:.0f} s. What to look at next:")
    print(f"  the results        file://{page}")
    print(f"  the project        cd {project}")
    print("  its runs           assay runs list, assay runs show latest")
    print("  its pipeline       assay dag, assay status, assay repro --dry")
    print("  any thing's past   assay trace mae, assay trace data/2011.csv")
    print("  take it away       rm -r " + str(top))


if __name__ == "__main__":
    main()
