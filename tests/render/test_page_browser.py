"""What a browser does with a page: it draws the plots, stays in its width and asks nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from assay.render.page import page
from assay.render.plot_frame import PlotDefinition
from assay.render.plot_templates import TEMPLATES
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
from tests.browser import Visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    start = datetime(2012, 8, 1, tzinfo=UTC)
    hours = [
        {"at": (start + timedelta(hours=h)).isoformat(), "actual": h % 24, "predicted": 12}
        for h in range(72)
    ]
    errors = [{"hour": h, "error": h % 7, "rev": r} for r in ("main", "new") for h in range(24)]
    over_time = PlotDefinition(
        title="Predictions over time", x="at", y=("actual", "predicted"), template="simple"
    )
    by_hour = PlotDefinition(title="Error by hour", x="hour", y="error", template="bar")
    sections: list[Section] = [
        Facts(
            facts=(
                Fact(name="Mean absolute error", value=31.2, change="-2.4 to base", better=True),
                Fact(name="Rows", value=17379),
            )
        ),
        Verdict(answer="yes", text="Reproduced.", note="All 14 files have the same bytes."),
        Plot(spec=plot_spec(hours, over_time), wide=True, note="Held out from training."),
        Plot(spec=plot_spec(errors, by_hour)),
        Table(
            caption="Two runs compared",
            header=("Metric", "main", "candidate", "Change", "A column that is wide"),
            rows=(("mae", "33.6", "31.2", "-2.4", "a/very/long/path/that/cannot/be/broken.json"),),
        ),
        Heading("Lineage"),
        Tree(text="endpoint bikes\n└── version 3\n    └── run 0198c1e2 " + "x" * 90),
        Code(text="assay reproduce 0198c1e2"),
        Image(content=b"<svg xmlns='http://www.w3.org/2000/svg'/>", mime="image/svg+xml"),
        Text(body="Trained on hours up to July."),
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page("Bike rentals", sections, lead="The candidate is better."))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("wide", [1280, 390])
def test_a_report_is_drawn_in_its_width_and_asks_nobody(browser, report, tmp_path, wide, scheme):
    with Visit(browser, report, wide=wide, scheme=scheme) as visit:
        visit.page.screenshot(path=tmp_path / f"{wide}-{scheme}.png", full_page=True)

        assert visit.errors == []
        assert visit.requests == [report.as_uri()]
        assert visit.page.locator(".canvas svg").count() == 2
        assert visit.page.locator("body").get_attribute("data-failed") == "0"
        assert visit.page.evaluate("document.documentElement.scrollWidth") == wide
        assert visit.page.evaluate("document.body.scrollWidth") <= wide


def test_text_in_plots_follows_the_colour_scheme_without_being_drawn_again(browser, report):
    colour = "getComputedStyle(document.querySelector('.canvas svg .role-axis-label text')).fill"
    with Visit(browser, report, wide=1280, scheme="light") as visit:
        light = visit.page.evaluate(colour)
        visit.page.emulate_media(color_scheme="dark")
        assert visit.page.evaluate(colour) != light


def test_every_template_draws_its_marks_without_a_warning(browser, tmp_path):
    rows = [{"x.a": i % 4, "y[0]": (i * i) % 4 + 1, "rev": rev} for rev in "ab" for i in range(12)]
    definitions = [
        PlotDefinition(title=name, x="x.a", y="y[0]", template=name) for name in TEMPLATES
    ]
    short = plot_spec([{"loss": 1}], PlotDefinition(title="one point"))
    plots = [Plot(spec=plot_spec(rows, definition)) for definition in definitions]
    path = tmp_path / "plots.html"
    path.write_text(page("Plots", [*plots, Plot(spec=short)]))

    with Visit(browser, path, wide=1280) as visit:
        assert visit.errors == []
        for figure in visit.page.locator("figure.plot").all():
            marks = figure.locator(
                "svg .mark-symbol path, svg .mark-rect path, svg .mark-line path"
            )
            assert marks.count() > 0


def test_the_pointer_shows_all_series_at_the_nearest_point(browser, report):
    with Visit(browser, report, wide=1280) as visit:
        visit.page.locator("#plot-1 svg").hover(position={"x": 400, "y": 150})
        tooltip = visit.page.locator("#vg-tooltip-element.visible")
        tooltip.wait_for()

        shown = tooltip.inner_text()
        assert "actual" in shown
        assert "predicted" in shown
        assert "2012-08-0" in shown


def test_a_plot_that_cannot_be_drawn_says_so_and_the_others_are_drawn(browser, tmp_path):
    good = plot_spec([{"a": 1}, {"a": 2}], PlotDefinition())
    path = tmp_path / "bad.html"
    path.write_text(page("r", [Plot(spec={"mark": 3, "encoding": {}}), Plot(spec=good)]))

    with Visit(browser, path, wide=390) as visit:
        assert "could not be drawn" in visit.page.locator("#plot-1").inner_text()
        assert visit.page.locator("#plot-2 svg").count() == 1
        assert visit.page.locator("body").get_attribute("data-failed") == "1"


def test_a_script_that_data_smuggles_in_does_not_run(browser, report, tmp_path):
    path = tmp_path / "report.html"
    injected = "<script>document.title = 'taken'</script></body>"
    path.write_text(report.read_text().replace("</body>", injected))

    with Visit(browser, path, wide=1280) as visit:
        assert visit.page.title() == "Bike rentals"
        assert any("Content Security Policy" in error for error in visit.errors)
