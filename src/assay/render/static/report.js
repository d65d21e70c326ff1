// Draws the plots of a report. Colours are the page's own variables, so that SVG text and lines
// follow the reader's colour scheme, and paper, without being drawn again.
const font = getComputedStyle(document.body).fontFamily;
const config = {
  background: "transparent",
  font,
  view: { stroke: "transparent", continuousHeight: 300 },
  mark: { color: "#945dd6" },
  line: { strokeWidth: 2 },
  text: { color: "var(--ink)" },
  rule: { color: "var(--muted)" },
  title: { color: "var(--ink)", subtitleColor: "var(--muted)", anchor: "start" },
  axis: {
    labelColor: "var(--muted)", titleColor: "var(--muted)",
    gridColor: "var(--line)", domainColor: "var(--edge)", tickColor: "var(--edge)",
    labelFontSize: 11, titleFontSize: 11, titleFontWeight: 500, titlePadding: 8,
    tickSize: 4, labelPadding: 5,
  },
  axisX: { grid: false },
  axisXQuantitative: { labelFlush: true },
  axisXTemporal: { labelFlush: true },
  axisY: { domain: false, ticks: false },
  header: { labelColor: "var(--muted)", titleColor: "var(--muted)", labelFontSize: 11 },
  legend: {
    labelColor: "var(--ink)", titleColor: "var(--muted)", labelFontSize: 11,
    orient: "top", direction: "horizontal",
    columns: innerWidth < 600 ? 2 : 4, labelLimit: 240, title: null, offset: 8,
  },
};

async function draw(script) {
  const target = document.getElementById(script.dataset.target);
  const figure = target.closest("figure");
  const options = {
    config, renderer: "svg", actions: false, defaultStyle: false,
    ast: true, // no code is made of text: the page's policy forbids it
    bind: figure.querySelector(".controls"),
    tooltip: { disableDefaultStyle: true },
  };
  try {
    await window.vegaEmbed(target, JSON.parse(script.textContent), options);
    return true;
  } catch (error) {
    target.textContent = `This plot could not be drawn: ${error.message}`;
    target.classList.add("failed");
    return false;
  }
}

const drawn = await Promise.all([...document.querySelectorAll("script.spec")].map(draw));
document.body.dataset.failed = drawn.filter((done) => !done).length;
document.body.dataset.ready = "true";
