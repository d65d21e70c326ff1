"""A page in headless Chromium, and all that goes wrong on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

CHROMIUM = shutil.which("chromium")
SCHEMES = ("light", "dark")
WIDTHS = (1280, 390)  # a desktop and a phone, in CSS pixels


@contextmanager
def opened() -> Iterator[Any]:
    """Start a browser; without Chromium the test is skipped, on CI it fails."""
    if CHROMIUM is None and os.environ.get("CI") != "true":
        pytest.skip("chromium is not installed: 'apt-get install chromium' brings it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visit:
    """A page that was opened, with the errors and requests that it made."""

    def __init__(self, browser: Any, path: Path, *, wide: int, scheme: str = "light") -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(
            viewport={"width": wide, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-ready]", timeout=30_000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()

    @property
    def overflows(self) -> bool:
        """Whether the page is wider than the window."""
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(script))
