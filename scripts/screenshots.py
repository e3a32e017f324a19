"""Pictures of the page, for the README: python scripts/screenshots.py http://127.0.0.1:8000 docs/serve.

For a server of `refeed serve --sample`; needs playwright and a Chromium (scripts/chromium).
"""

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
RATED = {"alien": 8, "shawshank": 9, "the matrix": 7, "toy story": 3, "fargo": 8}


def main(address: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    browser_path = subprocess.run(
        [Path(__file__).with_name("chromium")], capture_output=True, text=True, check=True
    ).stdout.strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        for name, width, height, scheme in (
            ("desktop", 1180, 820, "light"),
            ("dark", 1180, 820, "dark"),
            ("phone", 390, 780, "light"),
        ):
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(address)
            rate(page)
            page.locator(".why summary").first.click()
            page.evaluate("document.getElementById('status').textContent = ''")
            if name == "phone":
                page.locator("#list-title").evaluate("title => title.scrollIntoView()")
            page.mouse.move(0, 0)
            page.wait_for_timeout(2_000)
            page.screenshot(path=out / f"{name}.png")
            if name == "desktop":
                page.goto(f"{address}/model")
                page.locator(".plot").first.wait_for()
                page.screenshot(path=out / "model.png")
            context.close()
        browser.close()


def rate(page: Page) -> None:
    for count, (words, star) in enumerate(RATED.items(), start=1):
        page.get_by_label("Search titles").fill(words)
        page.wait_for_timeout(1_500)
        page.locator("#found li").first.locator("label").nth(star).click()
        page.locator("#mine .mine li").nth(count - 1).wait_for()
    page.get_by_label("Search titles").fill("")
    page.wait_for_timeout(1_500)


main(sys.argv[1], Path(sys.argv[2]))
