"""Write the picture in the README: `python -m tests.picture RESULTS.html`, of a demo's page."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser import Visit, opened

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "results.png"


def main() -> None:
    """Photograph the top of the page of results."""
    with opened() as browser, Visit(browser, Path(sys.argv[1]).resolve(), wide=1000) as visit:
        visit.page.set_viewport_size({"width": 1000, "height": 1080})
        visit.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
