"""The page in a real browser: search, rate, the list changes, why; by keyboard, and on a phone."""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from refeed.serve.lineup import Place
from refeed.serve.settings import Settings, Tokens

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000  # ms; a busy machine is slow at times


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a screen."""
    found = subprocess.run([ROOT / "scripts/chromium"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"no browser here: {found.stderr.strip()}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found.stdout.strip(), args=FLAGS, timeout=PATIENCE * 2
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core, from the npm registry."""
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run(
            ["npm", "pack", "--silent", "axe-core@4.14.1"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=120,
        )
    except (OSError, subprocess.SubprocessError):
        pytest.skip("axe-core can't be fetched here")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@pytest.fixture(scope="module")
def address(
    trained: Path,
    tmp_path_factory: pytest.TempPathFactory,
    listening: Callable[[Settings], AbstractContextManager[str]],
) -> Iterator[str]:
    """One server for all: each test is a person of its own, by its own cookies."""
    folder = tmp_path_factory.mktemp("page")
    place = Place("main", Path(shutil.copytree(trained, folder / "run")), 1.0)
    with listening(Settings([place], str(folder / "r.sqlite"))) as started:
        yield started


@pytest.fixture
def said() -> list[str]:
    """What was said on the console; a test takes out what it expects."""
    return []


@pytest.fixture
def open_page(browser: Browser, address: str, said: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens the page; at its end nothing may have been said on the console."""
    contexts = []

    def opened(width: int = 1280, height: int = 900, *, scheme: str = "light", at: str = address) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            has_touch=width < 600,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: said.append(f"{message.text} {message.location}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(at)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def search(page: Page, words: str, title: str) -> None:
    page.get_by_label("Search titles").fill(words)
    expect(page.locator("#found .title").first).to_have_text(title, timeout=PATIENCE)


def listed(page: Page) -> list[str]:
    return page.locator("#list .line-card .title").all_text_contents()


def test_search_rate_and_the_list_changes(open_page: Callable[..., Page]) -> None:
    page = open_page()
    assert len(listed(page)) == 12
    expect(page.get_by_text("So far nothing is known of you")).to_be_visible()
    before = listed(page)
    search(page, "alien", "Alien")
    page.locator("#found li").first.locator("label").nth(8).click()  # four and a half stars
    expect(page.get_by_role("status")).to_contain_text("You gave Alien 4.5; ", timeout=PATIENCE)
    expect(page.locator("#mine .mine .title")).to_have_text(["Alien"])
    expect(page.locator("#mine input:checked")).to_have_value("4.5")
    search(page, "toy st", "Toy Story")
    page.locator("#found li").first.locator("label").nth(0).click()
    expect(page.locator("#mine .mine .title")).to_have_text(["Toy Story", "Alien"], timeout=PATIENCE)
    assert listed(page) != before

    page.reload()
    expect(page.locator("#mine .mine .title")).to_have_text(["Toy Story", "Alien"])
    page.get_by_label("Remove your rating of Toy Story").click()
    expect(page.locator("#mine .mine .title")).to_have_text(["Alien"], timeout=PATIENCE)


def test_each_line_says_how_sure_it_is_and_why(open_page: Callable[..., Page]) -> None:
    page = open_page()
    search(page, "alien", "Alien")
    page.locator("#found li").first.locator("label").nth(9).click()
    expect(page.locator("#list .why").first).to_be_visible(timeout=PATIENCE)
    card = page.locator(".line-card").first
    expect(card.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"Predicted \d\.\d; four of five such ratings lie between \d\.\d and \d\.\d")
    )
    expect(card.locator(".liked")).to_have_text(re.compile(r"\d+ % likely that you like it"))
    card.get_by_text("Why?").click()
    expect(card.locator(".why li")).to_have_text(
        [re.compile(r"[+−]\d\.\d\d\s+you gave 5 to Alien"), re.compile(r"[+−]\d+\.\d\s+Alien")]
    )


def test_what_is_of_no_interest_goes_and_can_come_back(open_page: Callable[..., Page]) -> None:
    page = open_page()
    first = listed(page)[0]
    page.locator(".line-card").first.get_by_role("button", name="Not interested").click()
    expect(page.locator("#mine .dismissed summary")).to_have_text("Not interested: 1", timeout=PATIENCE)
    assert first not in listed(page)
    page.locator("#mine .dismissed summary").click()
    page.get_by_role("button", name="List it again").click()
    expect(page.locator("#list .line-card .title").first).to_have_text(first, timeout=PATIENCE)


def test_filters_change_the_list_at_once(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_text("Filters").click()
    page.get_by_label("From").fill("1999")
    page.get_by_label("To", exact=True).fill("1999")
    page.get_by_label("To", exact=True).press("Tab")
    years = page.locator("#list .line-card .year")
    expect(years.filter(has_not_text="1999")).to_have_count(0, timeout=PATIENCE)  # the first answer has more
    expect(years.filter(has_text="1999")).not_to_have_count(0)
    page.get_by_label("From").fill("3000")
    page.get_by_label("From").press("Tab")
    expect(page.get_by_text("Nothing is left to recommend")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("From").fill("x")
    page.get_by_label("From").press("Tab")
    expect(page.locator("#list").get_by_role("alert")).to_contain_text("is no year", timeout=PATIENCE)


def test_more_of_the_list_can_be_shown(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#list .line-card")).to_have_count(24, timeout=PATIENCE)


def test_everything_works_without_a_mouse(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search titles")).to_be_focused()
    page.keyboard.type("alien")
    expect(page.locator("#found .title").first).to_have_text("Alien", timeout=PATIENCE)
    page.keyboard.press("Tab")  # into the stars of the first one that was found
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("You gave Alien", timeout=PATIENCE)
    expect(page.locator("#mine .mine li")).to_have_count(1)
    focused = page.evaluate("document.activeElement.closest('#found') !== null")
    assert focused  # where it was, though the list has changed

    page.locator(".line-card summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".line-card .why li").first).to_be_visible()
    page.locator(".line-card button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#mine .dismissed summary")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.activeElement.closest('.line-card') !== null")  # not lost with the line


def test_a_phone_shows_all_of_it_in_one_column(open_page: Callable[..., Page]) -> None:
    page = open_page(360, 740)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    page.get_by_label("Search titles").fill("alien")
    expect(page.locator("#found .title").first).to_have_text("Alien", timeout=PATIENCE)
    page.locator("#found li").first.locator("label").nth(7).tap()
    expect(page.locator("#mine .mine li")).to_have_count(1, timeout=PATIENCE)
    page.locator(".line-card summary").first.tap()
    assert not page.evaluate(wide)
    base = page.url.rstrip("/")
    for path in ("/model", "/api", "/docs"):
        page.goto(base + path)
        if path == "/model":
            expect(page.locator(".plot").first).to_be_visible(timeout=PATIENCE)
        assert not page.evaluate(wide), path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Callable[..., Page], axe: str, scheme: str) -> None:
    page = open_page(scheme=scheme)
    search(page, "alien", "Alien")
    page.locator("#found li").first.locator("label").nth(8).click()
    expect(page.locator("#mine .mine li")).to_have_count(1, timeout=PATIENCE)
    page.locator(".line-card summary").first.click()
    page.get_by_text("Filters").click()
    page.wait_for_timeout(2_000)  # colours that are on their way are none to measure
    assert violations(page, axe) == []
    base = page.url.rstrip("/")
    for path in ("/model", "/api", "/docs"):
        page.goto(base + path)
        if path == "/model":
            expect(page.locator(".plot").first).to_be_visible(timeout=PATIENCE)
        assert violations(page, axe) == [], path


def violations(page: Page, axe: str) -> list[str]:
    # By the debugger's way: the page's own policy would forbid the script.
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


def test_the_theme_can_be_changed_and_stays(open_page: Callable[..., Page]) -> None:
    page = open_page()
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_label("Switch between light and dark").click()
    assert page.evaluate(colour) != light
    page.reload()
    assert page.evaluate(colour) != light


def test_forgetting_oneself_starts_anew(open_page: Callable[..., Page]) -> None:
    page = open_page()
    search(page, "alien", "Alien")
    page.locator("#found li").first.locator("label").nth(8).click()
    page.get_by_role("button", name="Forget me").click()
    expect(page.get_by_text("Or begin with these")).to_be_visible(timeout=PATIENCE)


def test_signing_in_opens_the_page_in_a_browser_and_a_wrong_token_does_not(
    browser: Browser,
    trained: Path,
    tmp_path: Path,
    listening: Callable[[Settings], AbstractContextManager[str]],
) -> None:
    settings = Settings(
        [Place("main", Path(shutil.copytree(trained, tmp_path / "run")), 1.0)],
        str(tmp_path / "r.sqlite"),
        tokens=Tokens([("write", "a-token-that-may-write")]),
    )
    with listening(settings) as guarded:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(guarded)
        page.get_by_label("Token").fill("a-token-of-somebody-else")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("section").get_by_role("alert")).to_have_text(
            "This token does not open the page."
        )
        page.get_by_label("Token").fill("a-token-that-may-write")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#list .line-card")).to_have_count(12, timeout=PATIENCE)
        context.close()


def test_a_server_that_fails_or_is_gone_is_said_and_the_list_stays(
    open_page: Callable[..., Page], said: list[str]
) -> None:
    page = open_page()
    before = listed(page)
    page.route("**/page/list*", lambda route: route.fulfill(status=503, body='{"detail": "too busy"}'))
    page.get_by_text("Filters").click()
    page.get_by_label("Known to").select_option("5")
    expect(page.get_by_role("alert")).to_contain_text("That did not work: too busy", timeout=PATIENCE)
    assert listed(page) == before
    page.unroute("**/page/list*")
    page.get_by_label("Known to").select_option("20")
    expect(page.get_by_role("alert")).to_be_empty(timeout=PATIENCE)
    (expected,) = said  # the browser's own line about the answer
    assert "503" in expected
    said.clear()
