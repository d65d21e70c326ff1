"""Which files are a table, what types its columns get, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from assay.base.errors import Error
from assay.data.read import Table, open_table, table_files


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def write_parquet(path: Path, query: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def opened(path: Path, **options) -> Table:
    files = table_files(path)
    assert files is not None
    return open_table(files, **options)


def types_of(text: str, tmp_path: Path) -> dict[str, str]:
    with opened(write(tmp_path / "t.csv", text)) as table:
        return {column.name: column.type for column in table.columns}


def column_of(values: list[str]) -> str:
    return "\n".join(["c,other", *(f"{value},1" for value in values)]) + "\n"


def test_a_csv_and_a_parquet_file_are_tables_by_themselves(tmp_path):
    for name in ("a.csv", "b.tsv", "c.csv.gz", "d.parquet", "E.CSV"):
        file = write(tmp_path / name, "a\n1\n")
        assert table_files(file) == [file]
    assert table_files(write(tmp_path / "notes.txt", "a\n1\n")) is None
    assert table_files(tmp_path / "absent.csv") is None


def test_a_folder_with_one_header_is_one_table_whatever_its_depth(tmp_path):
    second = write(tmp_path / "x" / "2.csv", "a,b\n3,4\n")
    first = write(tmp_path / "1.csv", "a,b\n1,2\n")
    write(tmp_path / ".hidden" / "notes.txt", "no table")
    assert table_files(tmp_path) == [first, second]
    with opened(tmp_path) as table:
        assert table.execute("SELECT * FROM t ORDER BY a").fetchall() == [(1, 2), (3, 4)]


def test_a_folder_of_other_headers_or_mixed_files_is_no_table(tmp_path):
    write(tmp_path / "csv" / "1.csv", "a,b\n1,2\n")
    write(tmp_path / "csv" / "2.csv", "a,c\n1,2\n")
    write(tmp_path / "mixed" / "1.csv", "a\n1\n")
    write_parquet(tmp_path / "mixed" / "2.parquet", "SELECT 1 AS a")
    write(tmp_path / "images" / "1.csv", "a\n1\n")
    write(tmp_path / "images" / "1.png", "png")
    (tmp_path / "empty").mkdir()
    for name in ("csv", "mixed", "images", "empty"):
        assert table_files(tmp_path / name) is None, name


def test_a_folder_of_parquet_is_one_table(tmp_path):
    write_parquet(tmp_path / "d" / "1.parquet", "SELECT 1 AS a, 'x' AS b")
    write_parquet(tmp_path / "d" / "2.parquet", "SELECT 2 AS a, 'y' AS b")
    with opened(tmp_path / "d") as table:
        assert table.n_rows == 2
        assert [column.type for column in table.columns] == ["integer", "category"]


def test_texts_get_the_type_that_their_values_have(tmp_path):
    text = (
        "i,f,b,d,z,c,e\n"
        "1,1.5,True,2011-01-01,2011-01-01T00:00:00Z,red,\n"
        "-2,2e3,false,2011-01-02 10:00,2011-01-01T01:00:00+01:00,blue,\n"
    )
    found = types_of(text, tmp_path)
    assert "".join(found) == "ifbdzce"
    kinds = ["integer", "float", "boolean", "time", "time", "category", "category"]
    assert list(found.values()) == kinds


def test_a_zone_is_seen_and_times_are_compared_in_utc(tmp_path):
    text = "a,b\n2011-01-01T01:00:00+01:00,1\n2011-01-01T00:00:00Z,2\n"
    with opened(write(tmp_path / "t.csv", text)) as table:
        assert table.columns[0].zoned
        assert table.row("SELECT count(DISTINCT a) FROM t") == (1,)


def test_one_value_with_a_leading_zero_makes_a_column_text(tmp_path):
    values = [str(98000 + at) for at in range(5000)]
    values[4321] = "01234"
    with opened(write(tmp_path / "t.csv", column_of(values))) as table:
        assert table.columns[0].type == "text"
        assert "leading zeros" in table.columns[0].rule
        assert table.row("SELECT c FROM t WHERE rowid = 4321") == ("01234",)


def test_zero_and_decimals_below_one_are_numbers_all_the_same(tmp_path):
    assert types_of(column_of(["0", "0.5", "-0.25", "10"]), tmp_path)["c"] == "float"


def test_integers_beyond_64_bits_are_text_and_keep_their_digits(tmp_path):
    with opened(write(tmp_path / "t.csv", column_of(["12345678901234567890123"] * 9))) as table:
        assert table.columns[0].type == "category"
        assert table.row("SELECT min(c) FROM t") == ("12345678901234567890123",)


@pytest.mark.parametrize("values", [["yes", "no"], ["T", "f"], ["Y", "N"], ["TRUE", "False"]])
def test_pairs_of_words_are_booleans(tmp_path, values):
    assert types_of(column_of(values * 3), tmp_path)["c"] == "boolean"


def test_half_a_pair_and_mixed_pairs_are_no_booleans(tmp_path):
    assert types_of(column_of(["no"] * 9), tmp_path)["c"] == "category"
    assert types_of(column_of(["True", "False", "yes"]), tmp_path)["c"] == "category"
    assert types_of(column_of(["True"] * 9), tmp_path)["c"] == "boolean"


def test_a_late_text_in_a_column_of_integers_is_counted_and_shown(tmp_path):
    values = [str(at) for at in range(30_000)] + ["x", "y", "x", "z", "w"]
    with opened(write(tmp_path / "t.csv", column_of(values))) as table:
        column = table.columns[0]
        assert (column.type, column.n_present, column.n_invalid) == ("integer", 30_005, 5)
        assert column.examples == ("w", "x", "x")
        assert table.n_rows == 30_005


def test_a_late_decimal_makes_integers_floats(tmp_path):
    values = [str(at) for at in range(10_000)]
    values[5] = "2.5"
    with opened(write(tmp_path / "t.csv", column_of(values))) as table:
        assert (table.columns[0].type, table.columns[0].n_invalid) == ("float", 0)


def test_a_column_that_is_empty_in_the_sample_gets_its_type_from_the_rest(tmp_path):
    values = [""] * 10_000
    values[2000:2050] = [str(at) for at in range(50)]
    with opened(write(tmp_path / "t.csv", column_of(values))) as table:
        assert (table.columns[0].type, table.columns[0].n_present) == ("integer", 50)


def test_null_spellings_are_missing_and_quoted_texts_are_not(tmp_path):
    text = 'c,n,k\nNA,NA,1\n,null,2\n"NA",5,3\n"","",4\nx,7,5\n'
    with opened(write(tmp_path / "t.csv", text)) as table:
        texts, numbers, _ = table.columns
        assert texts.n_present == 3
        assert (numbers.type, numbers.n_present, numbers.n_invalid) == ("integer", 2, 0)
        assert "NA" in table.nulls


def test_a_forced_type_is_used_whatever_the_column_holds(tmp_path):
    file = write(tmp_path / "t.csv", column_of(["1", "2", "a", "b"]))
    with opened(file, types={"c": "integer"}) as table:
        assert (table.columns[0].type, table.columns[0].n_invalid) == ("integer", 2)
    with opened(file, types={"other": "text"}) as table:
        assert table.columns[1].type == "text"


def test_columns_that_differ_in_case_only_are_two_columns(tmp_path):
    with opened(write(tmp_path / "t.csv", "id,ID,id_2\n1,x,3\n2,y,4\n")) as table:
        assert [column.name for column in table.columns] == ["id", "ID", "id_2"]
        refs = ", ".join(f"min({column.ref})" for column in table.columns)
        assert table.row(f"SELECT {refs} FROM t") == (1, "x", 3)


def test_columns_of_parquet_have_the_types_and_names_of_the_file(tmp_path):
    query = "SELECT 1 AS \"b c\", [1, 2] AS l, {'x': 1, 'y': 2} AS s, 2.5::FLOAT AS xx, 3 AS yy"
    file = write_parquet(tmp_path / "t.parquet", query)
    file.write_bytes(file.read_bytes().replace(b"yy", b"XX"))  # DuckDB itself writes no such file
    with opened(file) as table:
        assert [(c.name, c.type) for c in table.columns] == [
            ("b c", "integer"),
            ("l", "other"),
            ("s", "other"),
            ("xx", "float"),
            ("XX", "integer"),
        ]


def test_byte_order_mark_crlf_and_newlines_in_quotes_are_read_as_meant(tmp_path):
    text = '\ufeffa,b\r\n1,"x\r\ny, ""z"""\r\n2,w\r\n'
    with opened(write(tmp_path / "t.csv", text)) as table:
        assert table.columns[0].name == "a"
        assert table.execute("SELECT * FROM t").fetchall() == [(1, 'x\r\ny, "z"'), (2, "w")]


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_the_delimiter_is_the_one_of_the_header(tmp_path, delimiter):
    text = f"a{delimiter}b\n1{delimiter}x,y\n"
    with opened(write(tmp_path / "t.csv", text)) as table:
        assert table.execute("SELECT * FROM t").fetchall() == [(1, "x,y")]


def test_compression_is_known_by_its_bytes_not_by_the_name(tmp_path):
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    plain = write(tmp_path / "plain.csv.gz", "a,b\n1,2\n")
    for file in (packed, plain):
        with opened(file) as table:
            assert table.execute("SELECT * FROM t").fetchall() == [(1, 2)]


def test_a_path_with_signs_of_a_pattern_is_that_file_only(tmp_path):
    odd = write(tmp_path / "it's [1]*.csv", "a,b\n1,2\n")
    write(tmp_path / "it's 1.csv", "a,b\n3,4\n")
    with opened(odd) as table:
        assert table.execute("SELECT * FROM t").fetchall() == [(1, 2)]


@pytest.mark.parametrize(("text", "n_columns"), [("", 0), ("a,b\n", 2)])
def test_an_empty_table_has_no_rows(tmp_path, text, n_columns):
    with opened(write(tmp_path / "t.csv", text)) as table:
        assert (table.n_rows, len(table.columns)) == (0, n_columns)


def test_a_column_without_a_name_gets_one(tmp_path):
    assert list(types_of(",a,\n0,1,2\n", tmp_path)) == ["column_1", "a", "column_3"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a,b\n1,2\n3\n4,5\n", 3, "1 fields, expected 2"),
        ("a,b\n1,2\n3,4,5\n", 3, "3 fields, expected 2"),
        ('a,b\n1,"x\n2,3\n', 2, "never closed"),
        ("a,a\n1,2\n", 1, "more than once"),
        ("\na,b\n1,2\n", 1, "blank"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path, text, line, says):
    file = write(tmp_path / "t.csv", text)
    with pytest.raises(Error, match=says) as caught:
        opened(file)
    assert caught.value.where == f"{file}:{line}"


def test_the_right_file_of_a_folder_is_blamed(tmp_path):
    write(tmp_path / "1.csv", "a,b\n1,2\n")
    bad = write(tmp_path / "2.csv", "a,b\n1,2\n3\n")
    with pytest.raises(Error) as caught:
        opened(tmp_path)
    assert caught.value.where == f"{bad}:3"


def test_what_is_not_utf_8_or_not_parquet_is_refused(tmp_path):
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"a,b\n1,caf\xe9\n")
    wide = tmp_path / "wide.csv"
    wide.write_bytes("a,b\n1,2\n".encode("utf-16"))
    fake = write(tmp_path / "fake.parquet", "no parquet")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"a,b\n1,2\n" * 999)[:40])
    for file in (latin, wide, fake, cut):
        with pytest.raises(Error) as caught:
            open_table([file])
        assert str(caught.value.where).startswith(str(file))


def test_sql_on_an_open_table_reaches_no_file(tmp_path):
    secret = write(tmp_path / "secret.csv", "a\n1\n")
    with opened(write(tmp_path / "t.csv", "a,b\n1,2\n")) as table:
        for sql in (f"SELECT * FROM '{secret}'", "SET enable_external_access=true"):
            with pytest.raises(duckdb.Error):
                table.execute(sql)
