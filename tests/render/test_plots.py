from __future__ import annotations

import json
import time

import pytest

from assay.base.errors import Error, NotFound
from assay.render.plot_encodings import COLOURS, escape_field
from assay.render.plot_frame import PlotDefinition
from assay.render.plot_templates import TEMPLATES
from assay.render.plots import parse_plot_data, plot_spec, read_plot_data

ROWS = [{"step": 0, "loss": 1.5, "acc": 0.1}, {"step": 1, "loss": 0.5, "acc": 0.9}]
POINTS = [
    {"x.a": i % 3, "y[0]": (i * i) % 3, "rev": rev} for rev in ("v1", "HEAD") for i in range(9)
]


def values(spec):
    return spec["data"]["values"]


def test_dvcs_templates_are_known_in_the_order_that_dvc_lists_them():
    dvc = "simple linear confusion confusion_normalized scatter scatter_jitter smooth"
    assert [*TEMPLATES] == [*dvc.split(), "bar_horizontal_sorted", "bar_horizontal", "bar"]


def test_without_a_definition_the_last_column_is_drawn_over_the_rows_number():
    spec = plot_spec([{"loss": 3}, {"loss": 2}], PlotDefinition())

    assert values(spec) == [{"step": 0, "loss": 3}, {"step": 1, "loss": 2}]


def test_the_generated_step_begins_again_for_each_revision_and_file():
    rows = [{"loss": 1, "rev": rev, "filename": "a"} for rev in ("a", "a", "b")]

    assert [row["step"] for row in values(plot_spec(rows, PlotDefinition(y="loss")))] == [0, 1, 0]


def test_several_columns_become_one_with_a_name_beside_it():
    spec = plot_spec(ROWS, PlotDefinition(x="step", y=("loss", "acc")))

    assert {"step": 1, "value": 0.9, "field": "acc"} in values(spec)
    assert spec["encoding"]["color"]["scale"]["domain"] == ["loss", "acc"]


def test_each_file_gives_the_columns_that_are_asked_of_it():
    rows = [{"s": 0, "a": 1, "b": 9, "filename": "one"}, {"t": 0, "b": 2, "filename": "two"}]
    definition = PlotDefinition(x={"one": "s", "two": "t"}, y={"one": ("a",), "two": ("b",)})

    assert values(plot_spec(rows, definition)) == [
        {"x": 0, "value": 1, "filename::field": "one::a"},
        {"x": 0, "value": 2, "filename::field": "two::b"},
    ]


def test_revisions_get_dvcs_colours_in_order_and_columns_their_own_dash():
    rows = [{**row, "rev": str(rev)} for rev in range(9) for row in ROWS]
    spec = plot_spec(rows, PlotDefinition(x="step", y=("loss", "acc")))

    scale = spec["encoding"]["color"]["scale"]
    assert scale["domain"] == [str(rev) for rev in range(9)]
    assert scale["range"] == [*COLOURS, *COLOURS[:2]]
    assert spec["encoding"]["strokeDash"]["scale"]["domain"] == ["loss", "acc"]


def test_the_default_can_be_smoothed_and_zoomed():
    rows = [{"step": i, "loss": i * i} for i in range(5)]
    spec = plot_spec(rows, PlotDefinition(x="step", y="loss"))

    assert spec["params"][0]["bind"]["input"] == "range"
    (smooth,) = (one for one in spec["layer"] if "loess" in str(one.get("transform")))
    assert {"filter": "smooth > 0 || datum.nth_ <= 5"} in smooth["transform"]
    assert smooth["mark"]["opacity"] == {"expr": "smooth > 0 ? 1 : 0"}  # else five points show
    assert spec["layer"][0]["params"][0]["bind"] == "scales"


@pytest.fixture
def far_from_utc(monkeypatch):
    with monkeypatch.context() as context:
        context.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
def test_times_without_a_zone_are_utc():
    rows = [{"at": "2012-08-01T10:00", "n": 1}, {"at": "2012-08-01T13:00+02:00", "n": 2}]
    spec = plot_spec(rows, PlotDefinition(x="at", y="n"))

    assert [row["at"] for row in values(spec)] == ["2012-08-01T10:00:00Z", "2012-08-01T11:00:00Z"]
    assert spec["encoding"]["x"]["type"] == "temporal"


def test_a_confusion_matrix_counts_pairs_and_is_square():
    rows = [{"is": "cat", "said": said} for said in ("cat", "cat", "dog")]
    cells = values(plot_spec(rows, PlotDefinition(x="said", y="is", template="confusion")))

    counts = {(cell["y"], cell["x"]): (cell["count"], cell["share"]) for cell in cells}
    assert counts == {
        ("cat", "cat"): (2, pytest.approx(2 / 3)),
        ("cat", "dog"): (1, pytest.approx(1 / 3)),
        ("dog", "cat"): (0, 0),
        ("dog", "dog"): (0, 0),
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_vega_lite_compiles_each_template_also_with_dots_and_brackets_in_names(name):
    vl_convert = pytest.importorskip("vl_convert")
    spec = plot_spec(POINTS, PlotDefinition(x="x.a", y="y[0]", template=name))

    drawn = vl_convert.vegalite_to_svg({**spec, "width": 300})

    assert drawn.count("<path") > 10


def test_field_names_are_escaped_as_dvc_does():
    assert escape_field("a.b[0]") == r"a\.b\[0\]"


def test_a_number_that_json_lacks_becomes_a_gap():
    rows = [{"loss": 1.0}, {"loss": float("nan")}, {"loss": 2.0}]

    assert [row["loss"] for row in values(plot_spec(rows, PlotDefinition()))] == [1.0, None, 2.0]


def test_an_unknown_column_or_template_names_the_near_one():
    with pytest.raises(NotFound, match="did you mean 'loss'") as error:
        plot_spec(ROWS, PlotDefinition(title="curve", y="los"))
    assert error.value.where == "curve"
    with pytest.raises(NotFound, match="did you mean 'scatter'"):
        plot_spec(ROWS, PlotDefinition(template="scater"))


def test_nothing_to_plot_is_an_error():
    with pytest.raises(Error, match="no data"):
        plot_spec([], PlotDefinition())
    with pytest.raises(Error, match="both a value"):
        plot_spec([{"x": 1}, {"y": 2}], PlotDefinition(x="x", y="y"))


def test_a_template_of_the_users_own_is_filled_in():
    template = {
        "data": {"values": "<DVC_METRIC_DATA>"},
        "title": "My <DVC_METRIC_TITLE>",
        "mark": "bar",
        "encoding": {
            "x": {"field": "<DVC_METRIC_X>", "title": "<DVC_METRIC_X_LABEL>"},
            "color": "<DVC_METRIC_COLOR>",
            "tooltip": "<DVC_METRIC_TOOLTIP>",
        },
    }
    definition = PlotDefinition(title="plot", x="x.a", y="y[0]", x_label="X")

    spec = plot_spec(POINTS, definition, template=template)

    assert spec["title"] == "My plot"
    assert spec["encoding"]["x"] == {"field": r"x\.a", "title": "X"}
    assert spec["encoding"]["color"]["scale"]["domain"] == ["v1", "HEAD"]
    assert len(values(spec)) == len(POINTS)
    with pytest.raises(Error, match="no place for the data"):
        plot_spec(POINTS, definition, template={"mark": "bar"})


CONTENT = [{"step": 0, "loss": 0.5}, {"step": 1, "loss": 0.25}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(CONTENT)),
        ("deep.json", json.dumps({"n": 1, "train": {"empty": [], "log": CONTENT}})),
        ("a.yaml", "on: yes\nlog:\n- {step: 0, loss: 0.5}\n- {step: 1, loss: 25e-2}\n"),
        ("a.csv", "step,loss\r\n0,0.5\r\n1,.25\r\n"),
        ("bom.csv", "\ufeffstep,loss\n0,0.5\n1,0.25"),
        ("a.tsv", "step\tloss\n0\t5e-1\n1\t0.25\n"),
    ],
)
def test_every_kind_of_file_gives_the_same_rows_with_numbers(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())

    assert read_plot_data(path) == CONTENT


def test_a_file_without_a_header_has_numbered_columns(tmp_path):
    (tmp_path / "a.csv").write_text('0,"a\nb"\n1,\n')

    assert read_plot_data(tmp_path / "a.csv", header=False) == [
        {"0": 0, "1": "a\nb"},
        {"0": 1, "1": None},
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", b"[{]", "a.json:1: not JSON"),
        ("a.json", b'{"a": 1}', "no list of mappings"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.yaml", b"a: 1\nb: [", "a.yaml:2: not valid YAML"),
        ("a.csv", b"a,b\n1,2\n3\n", "a.csv:3: a row has 1 cells, the first line has 2"),
        ("a.csv", b"\xff\xfe", "not UTF-8 at byte 0"),
        ("a.txt", b"", "'.txt' is not a kind of plot data"),
    ],
)
def test_a_bad_file_is_an_error_that_says_where(name, content, says):
    with pytest.raises(Error) as error:
        parse_plot_data(content, suffix=name[1:], where=name)
    assert says in str(error.value)


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(Error, match=r"gone\.csv: no such file"):
        read_plot_data(tmp_path / "gone.csv")
