"""A plot becomes a picture without a browser and without the network."""

from __future__ import annotations

import subprocess
import sys

import pytest

from assay.base.errors import Error, NotFound
from assay.render.plot_frame import PlotDefinition
from assay.render.plot_pictures import SCALE, picture
from assay.render.plot_starters import starter
from assay.render.plot_templates import TEMPLATES
from assay.render.plots import plot_spec

pytest.importorskip("vl_convert")

ROWS = [{"x.a": i % 3, "y[0]": (i * i) % 3} for i in range(9)]
PAIR = [{**row, "rev": rev} for rev in ("v1", "HEAD") for row in ROWS]


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("rows", [ROWS, PAIR])
def test_every_template_is_drawn_as_both_kinds(name, rows):
    spec = plot_spec(rows, PlotDefinition(x="x.a", y="y[0]", template=name, title="T"))

    width, height = size(picture(spec, kind="png"))
    svg = picture(spec, kind="svg").decode()

    assert width > 400 * SCALE
    assert height > 120 * SCALE
    assert svg.startswith("<svg")
    assert ">T</text>" in svg


def test_the_same_plot_is_the_same_picture():
    spec = plot_spec(ROWS, PlotDefinition(x="x.a", y="y[0]"))
    assert picture(spec, kind="png") == picture(spec, kind="png")


def test_a_specification_that_is_none_is_an_error_with_its_name():
    with pytest.raises(Error, match="mine: the plot cannot be drawn") as caught:
        picture({"mark": "no such mark", "encoding": 3}, kind="svg", title="mine")
    assert "--show-vega" in str(caught.value)


def test_data_at_an_address_is_not_fetched(tmp_path):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    x = {"x": {"field": "a", "type": "quantitative"}}

    def drawn(url: str) -> str:
        spec = {"data": {"url": url}, "mark": "point", "encoding": x}
        return picture(spec, kind="svg").decode()

    assert '"point"' not in drawn((tmp_path / "secret.csv").as_uri())
    for url in ("http://127.0.0.1:9/x.csv", str(tmp_path / "secret.csv")):
        with pytest.raises(Error, match="not allowed"):
            drawn(url)


def test_without_the_extra_the_error_says_which_it_is():
    code = (
        "import sys; sys.modules['vl_convert'] = None\n"
        "from assay.render.plot_pictures import check\n"
        "try: check()\nexcept Exception as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'assay[plots]'" in done.stdout


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("rows", [ROWS, PAIR])
def test_a_template_to_begin_with_draws_what_the_built_in_one_draws(name, rows):
    rows = [{"x": row["x.a"], "y": row["y[0]"], "rev": row.get("rev", "now")} for row in rows]
    definition = PlotDefinition(x="x", y="y", title="T")

    spec = plot_spec(rows, definition, template=starter(name))

    assert "<DVC_" not in str(spec)
    assert picture(spec, kind="svg").count(b"<path") > 3


def test_an_unknown_template_names_the_near_one():
    with pytest.raises(NotFound, match="did you mean 'scatter'"):
        starter("scater")
