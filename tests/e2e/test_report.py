"""The demo's report, seen with a browser."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from demo.clients import Request
from demo.report import Table, write_report
from demo.summary import Act

CHROMIUM = Path("/usr/bin/chromium")
START = 1_800_000_000.0
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def acts() -> list[Act]:
    found = []
    for number in range(1, 9):
        act = Act(number, f"act {number} <of eight>", ok=number != 5, started=START + 10 * (number - 1))
        act.ended, act.facts = act.started + 10, {"requests": 20}
        found.append(act)
    return found


def requests() -> list[Request]:
    """Eighty seconds in which green takes over at half-time and errs once in a while."""
    return [
        Request(START + i / 4, 20 + 10 * math.sin(i), 500 if i % 40 == 39 else 200, "blue" if i < 160 else "green")
        for i in range(320)
    ]


@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed: apt-get install chromium")
def test_the_report_shows_eight_acts_and_three_charts_and_needs_no_network(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    page_file = tmp_path / "report.html"
    write_report(
        page_file, acts(), requests(), [Table("Audit trail", ("#", "What"), [(1, "<script>alert(1)</script>")])]
    )
    asked: list[str] = []
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(page_file.as_uri())

        rows = page.locator("h2:has-text('Acts') + table tbody tr")
        assert rows.count() == 8
        assert rows.nth(0).locator("td").nth(1).inner_text() == "act 1 <of eight>"
        results = [rows.nth(at).locator("td").nth(2).inner_text() for at in range(8)]
        assert results.count("as promised") == 7
        axes = page.locator("figure svg g[id^='axes_']")
        assert axes.count() == 3
        for at in range(3):
            box = axes.nth(at).bounding_box()
            assert box is not None
            assert box["width"] > 300
            assert box["height"] > 50
        assert "<script>alert(1)</script>" in page.locator("h2:has-text('Audit trail') + div").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
        browser.close()
    assert complaints == []
    assert asked == [page_file.as_uri()], "everything is in the page"
