from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from assay.base.errors import Error
from assay.render.page import page
from assay.render.plot_frame import PlotDefinition
from assay.render.plots import plot_spec
from assay.render.sections import (
    Code,
    Fact,
    Facts,
    Heading,
    Image,
    Plot,
    Section,
    Table,
    Text,
    Tree,
    Verdict,
)

NASTY = '</script><script>alert("x")</script><!-- & \' " {{ 7 * 7 }}'


class Outline(HTMLParser):
    """Collects what a reader's software would see: elements, attributes and text."""

    def __init__(self, html):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in self.open[-1:]:
            self.text.setdefault(tag, []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def plot(n_rows=3, **more):
    rows = [{"step": i, "loss": 1 / (i + 1)} for i in range(n_rows)]
    return Plot(spec=plot_spec(rows, PlotDefinition(title="Loss", x="step", y="loss")), **more)


def test_the_answer_comes_first():
    html = page("Report", [Text(body="Details.")], lead="The candidate is better.")

    assert html.index("<h1>Report</h1>") < html.index("The candidate is better.")
    assert html.index("The candidate is better.") < html.index("Details.")


def test_data_cannot_leave_its_place():
    sections: list[Section] = [
        Heading(NASTY),
        Text(body=NASTY, title=NASTY),
        Verdict(answer="no", text=NASTY, note=NASTY),
        Facts(facts=(Fact(name=NASTY, value=NASTY, unit=NASTY, change=NASTY),)),
        Table(caption=NASTY, header=(NASTY,), rows=((NASTY,),), note=NASTY),
        Plot(spec={"data": {"values": [{NASTY: NASTY}]}}, title=NASTY, note=NASTY),
        Image(content=b"x", mime="image/png", title=NASTY, alt=NASTY),
        Code(text=NASTY),
        Tree(text=NASTY),
    ]
    outline = Outline(page(NASTY, sections, lead=NASTY, origin={NASTY: NASTY}, footer=NASTY))

    kinds = [script.get("type") for script in outline.all("script")]
    assert kinds == ["application/json", "module", "module", "text/plain"]
    assert "alert(" not in "".join(outline.text["script"][1:])
    assert outline.text["h1"] == [NASTY]


def test_the_policy_allows_exactly_the_scripts_of_the_page():
    html = page("Report", [plot()])
    policy = next(
        meta["content"]
        for meta in Outline(html).all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )

    scripts = re.findall(r'<script type="module">(.*?)</script>', html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert policy is not None
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_a_page_without_plots_carries_no_script():
    html = page("Report", [Text(body="One.\n\nTwo.")])

    assert not Outline(html).all("script")
    assert len(Outline(html).all("p")) == 2
    assert 'data-ready="true"' in html
    assert len(html) < 20_000


def test_the_page_names_no_address_to_load_from():
    outline = Outline(page("Report", [plot(), Image(content=b"x", mime="image/png")]))

    for _, attributes in outline.elements:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")


def test_headings_go_down_in_order():
    sections: list[Section] = [
        Text(body="a", title="A"),
        Heading("Part"),
        plot(),
        Code(text="b", title="B"),
    ]
    levels = [
        int(tag[1])
        for tag, _ in Outline(page("Report", sections)).elements
        if tag in {"h1", "h2", "h3"}
    ]

    assert levels == [1, 2, 2, 3, 3]


def test_a_plot_shows_its_data_as_a_table_up_to_200_rows():
    assert len(Outline(page("r", [plot(200)])).all("details")) == 1
    assert not Outline(page("r", [plot(201)])).all("details")


def test_a_plot_has_a_label_and_its_title_once():
    html = page("r", [plot(note="Lower is better.")])
    outline = Outline(html)

    assert outline.all("figure")[0]["aria-label"] == "Loss. Lower is better."
    spec = json.loads(outline.text["script"][0])
    assert spec["description"] == "Loss. Lower is better."
    assert "title" not in spec
    assert outline.text["h2"] == ["Loss"]


def test_numbers_that_json_lacks_reach_the_browser_as_null():
    html = page("r", [Plot(spec={"data": {"values": [{"y": float("nan")}]}})])

    assert json.loads(Outline(html).text["script"][0])["data"]["values"] == [{"y": None}]


def test_a_table_has_a_caption_and_its_figures_on_the_right():
    table = Table(caption="Runs", header=("Metric", "HEAD"), rows=(("mae", "31.2"), ("r2", "-")))
    outline = Outline(page("r", [table]))

    assert outline.text["caption"] == ["Runs"]
    assert [cell.get("class") for cell in outline.all("td")] == ["number", "number"]
    assert [cell["scope"] for cell in outline.all("th")] == ["col", "col", "row", "row"]


def test_whether_a_change_is_wanted_is_said_in_a_word():
    fact = Fact(name="mae", value=31.2, change="+0.2 to base", better=False)

    assert ">worse<" in page("r", [Facts(facts=(fact,))])


def test_only_pictures_are_shown_as_pictures():
    with pytest.raises(Error, match="'text/html' is not a picture") as error:
        page("r", [Image(title="plots/a.html", content=b"", mime="text/html")])
    assert error.value.where == "plots/a.html"


def test_the_same_content_gives_the_same_page():
    assert page("r", [plot(), Text(body="t")]) == page("r", [plot(), Text(body="t")])
