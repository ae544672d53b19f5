"""A real browser for tests of pages, without a window; skipped with the reason where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser."""
    api = pytest.importorskip("playwright.sync_api", reason="the test extra's playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Any, file: Path, width: int = 1280, address: str = "", wait: str = "ready", **more: Any
) -> Iterator[Any]:
    """A page from the disk; whatever it asks the network for, says or throws is an error at the end."""
    page = browser.new_page(viewport={"width": width, "height": 900}, **more)
    page.set_default_timeout(20_000)
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    try:
        page.goto(file.as_uri() + address)
        page.wait_for_selector(f"body[data-{wait}]")
        yield page
        assert {url.partition("#")[0] for url in asked} == {file.as_uri()}
        assert said == []
    finally:
        page.close()
