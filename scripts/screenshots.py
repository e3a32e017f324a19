"""Pictures of the page, for the README: python scripts/screenshots.py http://127.0.0.1:8000 docs/images.

With --states also of the page empty, with a fault, and of the other tabs. For a server of `refeed serve
--sample`; needs playwright, Pillow and a Chromium (scripts/chromium). The page's font is Inter where it is
installed (Debian: fonts-inter).
"""

import io
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
RATED = {"alien": 8, "shawshank": 9, "the matrix": 7, "toy story": 3, "fargo": 8}
LARGEST = 200_000  # bytes of a picture


def main(address: str, out: Path, *, states: bool) -> None:
    """Take all of them."""
    out.mkdir(parents=True, exist_ok=True)
    path = Path(__file__).with_name("chromium")
    chromium = subprocess.run([path], capture_output=True, text=True, check=True).stdout.strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        desktop = opened(browser, address, 1180, 860, "light")
        if states:
            take(desktop, out / "empty.png")
        rate(desktop)
        take(desktop, out / "desktop.png")
        if states:
            fail(desktop)
            take(desktop, out / "error.png")
        desktop.goto(f"{address}/model")
        desktop.locator(".plot").first.wait_for()
        take(desktop, out / "model.png")
        if states:
            desktop.goto(f"{address}/api")
            take(desktop, out / "api.png")
        dark = opened(browser, address, 1180, 860, "dark")
        rate(dark)
        take(dark, out / "dark.png")
        phone = opened(browser, address, 390, 844, "light")
        rate(phone)
        phone.locator("#list-title").evaluate("title => title.scrollIntoView()")
        take(phone, out / "phone.png")
        browser.close()


def opened(browser: Browser, address: str, width: int, height: int, scheme: str) -> Page:
    """The page in a window of this size, for somebody new."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=2 if width < 600 else 1,
        has_touch=width < 600,
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    return page


def rate(page: Page) -> None:
    """Rate some films, and open the reasons of the first line."""
    for count, (words, star) in enumerate(RATED.items(), start=1):
        with page.expect_response("**/page/search*"):
            page.get_by_label("Search titles").fill(words)
        page.wait_for_timeout(400)
        page.locator("#found li").first.locator("label").nth(star).click()
        page.locator("#mine .mine li").nth(count - 1).wait_for()
    with page.expect_response("**/page/search*"):
        page.get_by_label("Search titles").fill("")
    page.locator(".why summary").first.click()
    page.evaluate("document.getElementById('status').textContent = ''")


def fail(page: Page) -> None:
    """Have the server seem to be gone."""
    page.route("**/page/list*", lambda route: route.abort())
    page.get_by_text("Filters").click()
    page.get_by_label("Known to").select_option("5")
    page.locator("#alert .error").wait_for()


def take(page: Page, path: Path) -> None:
    """A picture in 256 colours, as the page has no more."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(2_000)  # colours on their way
    image = Image.open(io.BytesIO(page.screenshot()))
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")
    if path.stat().st_size > LARGEST:
        sys.exit(f"{path} is too large; take it smaller")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), states="--states" in sys.argv)
