"""A headless Chromium, fetched by ``make browser``, and pages of every kind in it."""

from __future__ import annotations

import os

import pytest
from zoo.pages import BROWSER, contents

from kmr_cli.render.outputs import render


@pytest.fixture(scope="session")
def browser():
    """One for all tests."""
    if not (BROWSER / "chromium").exists():
        pytest.fail("there is no browser: run these tests with make browser")
    from playwright.sync_api import sync_playwright

    around = {"LD_LIBRARY_PATH": str(BROWSER / "lib"), "FONTCONFIG_FILE": str(BROWSER / "fonts.conf")}
    with sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=str(BROWSER / "chromium"), env={**os.environ, **around},
            args=["--no-sandbox", "--disable-gpu", "--no-zygote"],
        )  # fmt: skip
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, pages):
    """``open_page(name, width=…, …)`` shows one of ``pages``; whatever it complains of, or asks for, is an error."""
    contexts, bad = [], []

    def show(name, width=1280, height=900, **more):
        context = browser.new_context(viewport={"width": width, "height": height}, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: bad.append(message.text))
        page.on("pageerror", lambda error: bad.append(str(error)))
        page.on("dialog", lambda dialog: bad.append(dialog.message))
        page.on("request", lambda request: bad.append(request.url) if _leaves(request.url, pages[name]) else None)
        page.goto(pages[name].as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert bad == []


def _leaves(url, place):
    return not url.startswith("data:") and url.partition("#")[0] != place.as_uri()


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Name -> a file."""
    folder = tmp_path_factory.mktemp("pages")
    written = {}
    for name, content in contents().items():
        written[name] = folder / f"{name}.html"
        written[name].write_text(render("html", content), encoding="utf-8")
    return written
