"""The log of what a stage did is read as it is written: any names, any order, any length."""

from __future__ import annotations

import pytest

from assay.base.errors import Error
from assay.pipeline import strict
from assay.pipeline.strict import Findings
from tests import make, traced

traced.skip_where_impossible()


def test_names_with_any_bytes_are_found(project):
    names = [
        "a b",
        'q"u',
        "<x>",
        "new\nline",
        "tab\t",
        "ü",
        "back\\slash",
        "= 3",
        ", ",
        "(deleted)",
    ]
    files = {f"in<>/{name}": "1" for name in names}
    found = traced.found(project, "cat in*/*; cd in*; echo 1 > 'o\"<\\ut'", files=files)
    assert found.read == tuple(sorted(files))
    assert found.written == ('in<>/o"<\\ut',)
    assert "'in<>/new" in found.what


def test_a_missing_log_is_an_error_and_half_a_line_is_not(project, tmp_path):
    project_, stage = traced.stage(project)
    with pytest.raises(Error, match="no record of what the stage opened"):
        strict.check(project_, stage, tmp_path / "log")
    line = f'12 openat(AT_FDCWD<{project}>, "a", O_RDONLY) = 3<{project}/a>'
    (tmp_path / "log").write_text(f"{line}\n{line[:40]}")
    assert strict.check(project_, stage, tmp_path / "log") == Findings(read=("a",))


def test_a_log_of_many_lines_is_read_without_keeping_it(project, tmp_path):
    import tracemalloc

    project_, stage = traced.stage(project)
    elsewhere = (
        f'7 openat(AT_FDCWD<{project}>, "/usr/lib/x%d.so", O_RDONLY) = 3</usr/lib/x%d.so>\n'
    )
    made = (
        f'7 openat(AT_FDCWD<{project}>, "t%d", O_WRONLY|O_CREAT|O_EXCL, 0666) = 3<{project}/t%d>\n'
        '7 unlink("t%d") = 0\n'
    )
    with (tmp_path / "log").open("w") as log:
        for number in range(5_000):
            log.write(elsewhere % (number, number))
            log.write(made % (number, number, number))
    tracemalloc.start()
    try:
        assert strict.check(project_, stage, tmp_path / "log") == Findings()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000  # the log has 2 MB


def test_calls_that_others_interrupt_are_put_together(project, tmp_path):
    project_, stage = traced.stage(project)
    make.write(project, {"d/x": ""})
    (tmp_path / "log").write_text(
        f"1 vfork( <unfinished ...>\n"
        f'2 chdir("d" <unfinished ...>\n'
        f"1 +++ exited with 0 +++\n"
        f"2 <... chdir resumed>)                    = 0\n"
        f'2 openat(AT_FDCWD<{project}/d>, "x", O_RDONLY <unfinished ...>\n'
        f"3 <... openat resumed>) = 9</etc/passwd>\n"
        f"2 <... openat resumed>) = 3<{project}/d/x>\n"
        f'2 rename("x", "y") = -1 ENOENT (No such file or directory)\n'
        f'2 rename("x", "z") = 0\n'
    )
    assert strict.check(project_, stage, tmp_path / "log") == Findings(
        read=("d/x",), written=("d/x", "d/z")
    )
