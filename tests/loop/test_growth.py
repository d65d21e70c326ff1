"""The growing table: new rows once, in the table's own dialect and types, and nothing else."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.base.ids import uuid7
from assay.data.files import table_files
from assay.data.read import open_table
from assay.loop import appending, growth, worktree
from assay.loop.fitting import Column, Rows
from assay.loop.growth import Grown
from assay.pipeline import kept
from assay.project import declaration
from assay.project.grammar import Source
from assay.project.workspace import Project
from assay.traffic import feedback
from assay.traffic.record import Record
from assay.traffic.spool import Spool
from tests import make, stages

DAY = 86_400_000
START = 1_325_376_000_000  # 2012-01-01
CSV = "day,hour,sky,open,cnt\n2012-01-01,0,clear,yes,16\n2012-01-01,1,fog,no,3\n"
DECLARED = """
data:
  tables:
    rentals: {path: data/rentals.csv, time: day, key: [day, hour]}
model: {name: bikes, task: regression, target: cnt}
retrain:
  data:
    table: rentals
    columns: {day: "CAST(timestamp AS DATE)", hour: "hour(CAST(timestamp AS TIMESTAMP))"}
"""


def declared(text: str = DECLARED, **changes: str) -> declaration.Declaration:
    """Return a declaration, with texts in it replaced."""
    for old, new in changes.items():
        text = text.replace(f"${old}", new)
    return declaration.parse(Source("assay.yaml", text))


def iso(at: int) -> str:
    """Return an event time as the server logs it."""
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC).replace(tzinfo=None).isoformat()


def ask(
    folder: Path, at: int, sky: str | None = "clear", *, is_open: bool | None = True,
    truth: Any = 5, event_time: int | None = -1, endpoint: str = "bikes", **inputs: Any,
) -> str:  # fmt: skip
    """Log a request of one row, and its truth where there is one; return the prediction's id."""
    columns = {"timestamp": iso(at), "sky": sky, "open": is_open, "temp": 0.5} | inputs
    id_ = uuid7()
    record = Record(
        id=id_, endpoint=endpoint, version="bikes/1", bundle="b", at=at + 1000, latency=0.1,
        n_rows=1, inputs={name: [value] for name, value in columns.items()},
        outputs={"predict": [1.0]}, event_time=[at if event_time == -1 else event_time],
    )  # fmt: skip
    with Spool(folder, sync=False) as spool:
        spool.append(record)
        spool.flush()
    if truth is not None:
        feedback.add(folder, [feedback.truth(truth, at=at + DAY, prediction_id=id_)])
    return id_


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose table is tracked, and committed."""
    root = make.write(
        make.project(tmp_path / "project"),
        {"data/rentals.csv": CSV, "params.yaml": PARAMS, "assay.yaml": DECLARED},
    )
    make.done(root, "add", "--no-profile", "data/rentals.csv")
    make.commit(root)
    return Project(root)


PARAMS = "# how long\ntrain:\n  test_days: 56 # whole weeks\n  seed: 7\nrates: [0.1, 0.2]\n"


def tree_of(project: Project) -> Project:
    """Return the loop's work tree with the table in place."""
    tree = worktree.open_worktree(project, "bikes", branch="main")
    worktree.start(tree, source="main", decision="d", keep=["data/rentals.csv.dvc"])
    return tree


def grow(
    tree: Project, text: str = DECLARED, until: int = START + 30 * DAY, **changes: str
) -> Grown:
    """Grow the table of a project from its traffic."""
    return growth.grow(
        tree, declared(text, **changes), traffic_dir=tree.traffic_dir, endpoint="bikes",
        until_ms=until,
    )  # fmt: skip


def table(tree: Project) -> str:
    """Return the text of the table."""
    return (tree.root / "data" / "rentals.csv").read_text()


def test_logged_rows_with_their_truth_are_appended_by_event_time_in_the_files_dialect(
    project: Project,
) -> None:
    tree = tree_of(project)
    ask(tree.traffic_dir, START + 2 * DAY, "rain", is_open=False, truth=7)
    ask(tree.traffic_dir, START + DAY, "fog, thin", truth=8)
    ask(tree.traffic_dir, START + 3 * DAY, truth=None)
    grown = grow(tree)
    assert table(tree) == f'{CSV}2012-01-02,0,"fog, thin",yes,8\n2012-01-03,0,rain,no,7\n'
    assert grown == Grown(
        n_rows=2, first=START + DAY, last=START + 2 * DAY, path="data/rentals.csv",
        record="data/rentals.csv.dvc", is_new=True,
    )  # fmt: skip
    assert msgspec.json.encode(grown)
    assert make.assay(tree.root, "data", "status").code == 0
    assert (project.root / "data" / "rentals.csv").read_text() == CSV


def test_growing_again_adds_nothing_and_says_so(project: Project) -> None:
    tree = tree_of(project)
    ask(tree.traffic_dir, START + DAY)
    assert grow(tree).n_rows == 1
    before = make.snapshot(tree.root)
    again = grow(tree)
    assert (again.n_rows, again.first, again.last, again.is_new) == (0, None, None, False)
    assert make.snapshot(tree.root) == before


def test_only_new_keys_before_the_end_count_and_the_last_prediction_of_a_key(
    project: Project,
) -> None:
    tree = tree_of(project)
    folder = tree.traffic_dir
    ask(folder, START, "not again", truth=99)  # 2012-01-01 0:00 is in the table
    ask(folder, START + DAY, "first", truth=1)
    ask(folder, START + DAY, "second", truth=2)
    ask(folder, START + 2 * DAY, "at the end")
    ask(folder, START + DAY + 3_600_000, "untimed", event_time=None)
    ask(folder, START + DAY + 7_200_000, "another", endpoint="cars")
    ask(folder, START - DAY, "from the future", event_time=START + DAY + DAY // 2)
    counted = growth.count_new(
        project, declared(), traffic_dir=folder, endpoint="bikes", until_ms=START + 2 * DAY
    )
    assert grow(tree, until=START + 2 * DAY).n_rows == counted == 1
    assert table(tree) == f"{CSV}2012-01-02,0,second,yes,2\n"
    counted = growth.count_new(
        project, declared(), traffic_dir=folder, endpoint="bikes", until_ms=START + 2 * DAY
    )
    assert counted == 0  # in the loop's work tree; a person's has the rows of before
    assert table(project) == CSV


def test_columns_that_a_request_lacks_are_empty_and_the_others_are_left_out(
    project: Project,
) -> None:
    (project.root / "data" / "rentals.csv").write_text(
        CSV.replace("cnt\n", "cnt,casual\n").replace("16\n", "16,1\n").replace("3\n", "3,2\n")
    )
    make.done(project.root, "add", "--no-profile", "data/rentals.csv")
    make.commit(project.root)
    tree = tree_of(project)
    ask(tree.traffic_dir, START + DAY, sky=None)
    grow(tree)
    assert table(tree).endswith("\n2012-01-02,0,,yes,5,\n")


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"truth": 2.5}, "prediction ", "'2.5' in column 'cnt' is not of the table's type, integ"),
        ({"truth": "many"}, "prediction ", "'many' in column 'cnt' is not of the table's type"),
        ({"is_open": "perhaps"}, "prediction ", "'perhaps' in column 'open' is not"),
        ({"timestamp": None}, "prediction ", "the key column 'day' is empty"),
        ({"timestamp": "never"}, "retrain.data.columns.day", "the SQL of the column fails"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_row_and_changes_nothing(
    project: Project, changes: dict[str, Any], where: str, what: str
) -> None:
    tree = tree_of(project)
    ask(tree.traffic_dir, START + 2 * DAY, **changes)
    before = make.snapshot(tree.root)
    with pytest.raises(Error, match=what) as caught:
        grow(tree)
    assert where in str(caught.value.where)
    assert make.snapshot(tree.root) == before


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (DECLARED.replace("hour: ", "houer: "), "no column 'houer'"),
        (DECLARED.replace("CAST(timestamp AS DATE)", "nonsense"), "the SQL of the column fails"),
        (DECLARED.replace(", time: day, key: [day, hour]", ""), "neither a key nor a time"),
        (DECLARED.replace("rentals.csv", "other.csv"), "no file that says which columns"),
        (DECLARED.partition("retrain:")[0], "no table is declared that grows"),
    ],
)
def test_a_declaration_that_does_not_go_with_the_table_is_refused(
    project: Project, text: str, what: str
) -> None:
    tree = tree_of(project)
    ask(tree.traffic_dir, START + DAY)
    before = make.snapshot(tree.root)
    with pytest.raises(Error, match=what):
        grow(tree, text)
    assert make.snapshot(tree.root) == before


def test_the_sql_of_a_column_can_read_no_file(project: Project) -> None:
    tree = tree_of(project)
    ask(tree.traffic_dir, START + DAY)
    reading = "(SELECT content FROM read_text('/etc/hostname'))"
    with pytest.raises(Error, match="the SQL of the column fails"):
        grow(tree, DECLARED.replace("CAST(timestamp AS DATE)", reading))


def test_a_table_that_a_stage_makes_does_not_grow(tmp_path: Path) -> None:
    root = stages.pipeline(tmp_path / "p", stages.THREE, {"data.csv": CSV, "params.yaml": "lr: 1"})
    make.write(root, {"params.yaml": "lr: 1\nseed: 2\n"})
    make.done(root, "repro")
    text = DECLARED.replace("data/rentals.csv", "clean.csv")
    with pytest.raises(Error, match="is made by stage 'prep'"):
        grow(Project(root), text)


@pytest.mark.parametrize("type_", ["hardlink", "symlink", "copy"])
def test_what_a_link_shares_with_the_cache_is_not_written_to(project: Project, type_: str) -> None:
    make.done(project.root, "config", "--local", "cache.type", type_)
    project = Project(project.root)
    before = {oid: project.cache.read(oid) for oid in project.cache}
    tree = tree_of(project)
    ask(tree.traffic_dir, START + DAY)
    grow(tree)
    assert {oid: project.cache.read(oid) for oid in before} == before
    assert all(project.cache.verify(oid) for oid in project.cache)
    assert table(tree) == f"{CSV}2012-01-02,0,clear,yes,5\n"
    assert len(set(kept.store(project)) - set(before)) == 1


@pytest.mark.parametrize("is_gzipped", [False, True])
def test_windows_line_ends_quotes_zones_and_a_missing_end_of_line_are_kept(
    project: Project, is_gzipped: bool
) -> None:
    name = "data/rentals.csv" + (".gz" if is_gzipped else "")
    header = b'\xef\xbb\xbf"at";"sky";"open";"x";"cnt"\r\n'
    old = header + b'"2012-01-01T00:00:00Z";"clear";"TRUE";"0.5";"16"'
    content = gzip.compress(old, mtime=0) if is_gzipped else old
    make.write(project.root, {name: content})
    text = DECLARED.partition("    columns")[0] + '    columns: {at: timestamp, x: "temp"}\n'
    text = text.replace("data/rentals.csv", name).replace(
        "time: day, key: [day, hour]", "time: at"
    )
    if is_gzipped:
        make.done(project.root, "add", "--no-profile", name)
    ask(project.traffic_dir, START + DAY, 'a "b"', temp=1)
    grow(project, text)
    found = (project.root / name).read_bytes()
    assert found.startswith(content)
    if is_gzipped:
        found = gzip.decompress(found)
    assert found == old + b'\r\n"2012-01-02T00:00:00Z";"a ""b""";"TRUE";"1.0";"5"\r\n'


def asked(sql: str) -> list[tuple[Any, ...]]:
    """Return what DuckDB answers."""
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def parquet(path: Path, sql: str, codec: str = "zstd") -> Path:
    """Write a query as a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    asked(f"COPY ({sql}) TO '{path}' (FORMAT parquet, COMPRESSION {codec})")
    return path


OLD = (
    "SELECT DATE '2012-01-01' AS day, 3::TINYINT AS hour, 'fog' AS sky, true AS \"open\","
    " 16::INTEGER AS cnt, 1.5::FLOAT AS temp, [1, 2]::INTEGER[] AS list,"
    " 2.50::DECIMAL(5, 2) AS money,"
    ' \'x\' AS "We ""ird"'
)


def test_parquet_keeps_its_columns_types_order_and_compression(project: Project) -> None:
    path = parquet(project.root / "data" / "t.parquet", OLD)
    described = asked(f"DESCRIBE SELECT * FROM '{path}'")
    text = DECLARED.replace("rentals.csv", "t.parquet")
    ask(project.traffic_dir, START + DAY, "rain", money=3, list=[4, 5])
    assert grow(project, text).n_rows == 1
    assert asked(f"DESCRIBE SELECT * FROM '{path}'") == described
    rows = asked(f"SELECT * FROM '{path}'")
    assert rows[0][:4] == (dt.date(2012, 1, 1), 3, "fog", True)
    assert rows[1][:7] == (dt.date(2012, 1, 2), 0, "rain", True, 5, 0.5, [4, 5])
    assert (float(rows[1][7]), rows[1][8]) == (3.0, None)
    codecs = asked(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')")
    assert codecs == [("ZSTD",)]

    before = path.read_bytes()
    ask(project.traffic_dir, START + 2 * DAY, truth=2**40)
    with pytest.raises(Error, match=r"'1099511627776' is not of the file's type, INTEGER"):
        grow(project, text)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_folder_gets_one_new_file_that_is_named_by_its_time(project: Project, kind: str) -> None:
    folder = project.root / "data" / "parts"
    folder.mkdir()
    if kind == "csv":
        (folder / "a.csv").write_text(CSV)
    else:
        shutil.copy(project.root / "data" / "rentals.csv", folder.parent / "r.csv")
        parquet(folder / "a.parquet", f"SELECT * FROM '{folder.parent}/r.csv'")
    make.done(project.root, "add", "--no-profile", "data/parts")
    text = DECLARED.replace("data/rentals.csv", "data/parts")
    for day in (1, 3, 2):
        ask(project.traffic_dir, START + day * DAY, truth=day)
    grown = grow(project, text)
    name = f"20120102T000000Z-20120104T000000Z.{kind}"
    assert sorted(path.name for path in folder.iterdir()) == [name, f"a.{kind}"]
    assert (grown.n_rows, grown.record, grown.is_new) == (3, "data/parts.dvc", True)
    with open_table(table_files(folder) or []) as found:
        assert found.execute("SELECT cnt FROM t ORDER BY day, hour").fetchall() == [
            (16,), (3,), (1,), (2,), (3,)
        ]  # fmt: skip
    ask(project.traffic_dir, START + DAY + 3_600_000, truth=9)
    ask(project.traffic_dir, START + 3 * DAY - 1, truth=9)  # within the same stretch, but late
    assert grow(project, text).n_rows == 2
    assert len(list(folder.iterdir())) == 3
    assert make.assay(project.root, "data", "status").code == 0


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        root = make.project(tmp_path / name)
        path = parquet(root / "data" / "t.parquet", OLD)
        project = Project(root)
        for day in (3, 1, 2) if name == "one" else (1, 2, 3):
            ask(project.traffic_dir, START + day * DAY, truth=day)
        grow(project, DECLARED.replace("rentals.csv", "t.parquet"))
        found.append(path.read_bytes())
    assert found[0] == found[1]


def test_rows_that_others_write_are_taken_by_the_same_rules(project: Project) -> None:
    text = DECLARED.partition("    columns")[0] + "    source: incoming\n"
    tree = tree_of(project)
    folder = project.root / "incoming"
    folder.mkdir()
    assert grow(tree, text).n_rows == 0
    (folder / "a.csv").write_text(
        "cnt;day;hour;open;sky\n7;2012-01-03;5;no;fog\n8;2012-01-02;1;yes;007\n"
        "9;2012-01-02;1;yes;last\n1;2012-01-01;0;no;there\n2;2012-03-01;0;no;later\n"
    )
    assert grow(tree, text).n_rows == 2
    assert table(tree) == f"{CSV}2012-01-02,1,last,yes,9\n2012-01-03,5,fog,no,7\n"
    count = growth.count_new(
        project, declared(text), traffic_dir=tree.traffic_dir, endpoint="bikes", until_ms=10**15
    )
    assert count == 1

    (folder / "a.csv").write_text("day,hour,sky,open,cnt\n2012-01-04,0,fog,no,x\n")
    with pytest.raises(Error, match="'x' in column 'cnt' is not of the table's type") as caught:
        grow(tree, text)
    assert caught.value.where == "incoming: row 1"
    (folder / "a.csv").write_text("day,hour,sky,cnt\n2012-01-04,0,fog,1\n")
    with pytest.raises(Error, match="other columns than the table: 'open' is only in the table"):
        grow(tree, text)


def test_parameters_are_set_and_comments_stay(project: Project) -> None:
    assert growth.set_params(project, {"train.test_days": 14, "rates.1": 0.3})
    text = (project.root / "params.yaml").read_text()
    assert text == PARAMS.replace("56 #", "14 #").replace("0.2", "0.3")
    assert not growth.set_params(project, {"train.test_days": 14})
    with pytest.raises(Error, match=r"no parameter 'train.test_dayz'") as caught:
        growth.set_params(project, {"train.test_dayz": 1})
    assert caught.value.hint == "did you mean 'train.test_days'?"
    assert (project.root / "params.yaml").read_text() == text


def test_the_files_that_growing_changes_are_known_before(project: Project) -> None:
    assert growth.records(project, declared()) == ["data/rentals.csv.dvc"]
    assert growth.records(project, declaration.Declaration()) == []


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('"\n;,|\t '))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | _TEXT,
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.booleans(),
            st.none() | st.integers(0, 4 * 10**15),
        ),
        min_size=1,
        max_size=8,
    ),
    delimiter=st.sampled_from(",;|\t"),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_what_was_given(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[Any, ...]],
    delimiter: str,
    ending: str,
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    names = ["a", "b", "c", "d", "e"]
    first = ["x", "1", "1.5", "true", "2012-01-01T00:00:00"]
    old = (delimiter.join(names) + ending + delimiter.join(first) + ending).encode()
    path.write_bytes(old)
    kinds: list[Any] = ["text", "integer", "float", "boolean", "time"]
    columns = [
        Column(name=n, kind=k, ref=n, physical="VARCHAR")
        for n, k in zip(names, kinds, strict=True)
    ]
    appending.append_csv(
        path,
        columns,
        Rows(
            kinds=kinds, values=[list(v) for v in zip(*rows, strict=True)],
            times=[None] * len(rows), origins=[""] * len(rows),
        ),
        into=path,
    )  # fmt: skip
    new = path.read_bytes()
    assert new.startswith(old)
    found = list(csv.reader(io.StringIO(new.decode(), newline=""), delimiter=delimiter))[2:]
    epoch = dt.datetime.fromisoformat("1970-01-01")
    assert [
        tuple(
            None if v == "" and given is None else read(v)
            for v, read, given in zip(line, READ, row, strict=True)
        )
        for line, row in zip(found, rows, strict=True)
    ] == [
        (*row[:4], None if row[4] is None else epoch + dt.timedelta(microseconds=row[4]))
        for row in rows
    ]


READ: list[Any] = [
    str,
    int,
    float,
    {"true": True, "false": False}.__getitem__,
    dt.datetime.fromisoformat,
]


@pytest.mark.peer
@pytest.mark.skipif(not stages.DVC.exists(), reason="real DVC is not in .peers/dvc")
def test_real_dvc_finds_nothing_changed_after_growing(project: Project) -> None:
    tree = tree_of(project)
    ask(tree.traffic_dir, START + DAY)
    grow(tree)
    worktree.commit(tree, "More rows", decision="d")
    assert json.loads(stages.dvc(tree.root, "status", "--json")) == {}
    stages.dvc(project.root, "gc", "-w", "-f")
    (tree.root / "data" / "rentals.csv").unlink()
    worktree.start(tree, source="main", decision="e", keep=["data/rentals.csv.dvc"])
    assert table(tree) == f"{CSV}2012-01-02,0,clear,yes,5\n"
