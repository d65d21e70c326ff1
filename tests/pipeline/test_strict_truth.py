"""Whatever a script does to files is what a strict run finds: against a model of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.pipeline.strict import Findings
from tests import make, traced

traced.skip_where_impossible()


class _Truth:
    """What sequences of operations on files read and write, by a model of their own."""

    def __init__(self, there: set[str]) -> None:
        self.there, self.before = dict.fromkeys(there, "old"), set(there)
        self.read: set[str] = set()
        self.written: set[str] = set()

    def findings(self) -> Findings:
        undeclared = {path for path, origin in self.there.items() if origin == "own"}
        written = (self.written | undeclared | (self.before - set(self.there))) - OUTS
        return Findings(read=tuple(sorted(self.read - DEPS)), written=tuple(sorted(written)))

    def use(self, path: str) -> None:
        if self.there[path] == "old":
            self.read.add(path)

    def put(self, path: str) -> None:
        self.there[path] = "own"


FILES = ("a", "b", "d/a", "d/b", "dep", "out", "t1", "t2")
BEFORE = {"a", "b", "d/a", "dep"}
DEPS, OUTS = {"dep", "out"}, {"out"}
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["read", "write", "append", "remove", "move", "copy", "link", "replace"]),
        st.sampled_from(FILES),
        st.sampled_from(FILES),
        st.sampled_from(["", "d"]),  # the folder of the process
    ),
    max_size=12,
)


def _line(kind: str, one: str, two: str, folder: str) -> str:
    one, two = (os.path.relpath(path, folder or ".") for path in (one, two))
    code = {
        "read": f"open({one!r}).close()",
        "write": f"open({one!r}, 'w').close()",
        "append": f"open({one!r}, 'a').write('1')",
        "remove": f"os.unlink({one!r})",
        "move": f"os.rename({one!r}, {two!r})",
        "copy": f"open({two!r}, 'w').write(open({one!r}).read())",
        "link": f"os.link({one!r}, {two!r})",
        "replace": f"open({two!r} + '.tmp', 'x').close(); os.replace({two!r} + '.tmp', {two!r})",
    }[kind]
    return f"os.chdir(root + {folder!r}); {code}"


def _apply(truth: _Truth, kind: str, one: str, two: str) -> bool:
    """Do an operation in the model; says no where it cannot be done."""
    there = truth.there
    if kind in {"read", "remove", "move", "copy", "link"} and one not in there:
        return False
    if kind in {"move", "copy", "link"} and one == two:
        return False
    if kind == "link" and two in there:
        return False
    if kind in {"read", "copy", "link"} or (kind == "move" and there[one] == "old"):
        truth.use(one)
    if kind in {"write", "append"}:
        truth.put(one)
    if kind in {"remove", "move"}:
        if one in truth.before:
            truth.written.add(one)
        del there[one]
    if kind in {"move", "copy", "link", "replace"}:
        truth.put(two)
    return True


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=OPERATIONS)
def test_whatever_a_script_does_to_files_is_what_is_found(operations, tmp_path):
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    root = make.write(make.project(folder / "project"), dict.fromkeys(BEFORE, "1"))
    make.git(root, "add", "-A")
    truth = _Truth(set(BEFORE))
    lines = ["import os", f"root = {str(root) + '/'!r}"]
    for kind, one, two, at in operations:
        if _apply(truth, kind, one, two):
            lines.append(_line(kind, one, two, at))
    (folder / "s.py").write_text("\n".join(lines))
    found = traced.found(root, f"{sys.executable} {folder}/s.py", deps=["dep"], outs=["out"])
    assert found == truth.findings(), "\n".join(lines)
