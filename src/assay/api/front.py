"""What a person sees who opens the hub's address in a browser: one plain page.

The page has no script and asks for nothing else. MLflow's clients print links to a run's page
(`/#/experiments/…`), which lead here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape

from starlette.responses import HTMLResponse, Response

import assay

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem }
pre { padding: .8rem; border: 1px solid; border-radius: .3rem; overflow-x: auto }
td { text-align: right; font-variant-numeric: tabular-nums; padding-left: 1rem }
th { text-align: left; font-weight: normal }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Assay hub</title>
<style>{style}</style>
</head>
<body>
<h1>Assay hub</h1>
<p>Here runs, models and their files are recorded, by MLflow's clients and by Assay's.
Assay {version}; it speaks the REST API of MLflow {protocol}.</p>
<table>{rows}</table>
<h2>Record here</h2>
<pre>export MLFLOW_TRACKING_URI={here}
assay config hub.url {here}</pre>
<p>The first line is for scripts that use MLflow, the second for a project of Assay.</p>
<h2>Look at a run</h2>
<p>There are no pages of runs yet: a link that MLflow printed, such as
<code>/#/experiments/0/runs/ID</code>, leads to this page. In a project with the second line above,
or with <code>ASSAY_HUB={here}</code>, see a run with</p>
<pre>assay runs list
assay runs show ID</pre>
<p><a href="/health">/health</a> says whether the hub answers,
<a href="/metrics">/metrics</a> is for Prometheus.</p>
</body>
</html>
"""


def page(here: str, counts: Mapping[str, int], *, protocol: str) -> Response:
    """Return what the hub is and how much it has, for a browser."""
    rows = "".join(f"<tr><th>{what}</th><td>{n:,}</td></tr>" for what, n in counts.items())
    body = _PAGE.format(
        style=_STYLE, version=assay.__version__, protocol=protocol, rows=rows, here=escape(here)
    )
    return HTMLResponse(body, headers={"Vary": "Accept", **_HEADERS})
