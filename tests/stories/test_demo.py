"""The demo page: what it shows, piece by piece, and all of it in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from textgan.errors import UserError
from textgan.stories import Credit, Ending, Explanation, StoryEnder, demo

pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),  # gradio's use of pandas
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),  # the same
]

LOCAL = {"127.0.0.1", "localhost", "::1"}
SENTENCES = ("Tom wanted a kite.", "He had no money.", "He washed cars all week.", "He went to the shop.")
HUMAN = Explanation(
    "Tom got it.",
    0.75,
    0.5,
    (Credit("tom", 0.1, 0.3), Credit("got", -0.05, 0.0), Credit("it", 0.0, 0.0), Credit(".", 0.2, 0.0)),
)


class Scripted(StoryEnder):
    """A writer that does as it is told."""

    def __init__(self, endings: list[Ending], explained: dict[str, Explanation]) -> None:
        self.endings, self.explained = endings, explained

    @property
    def has_discriminator(self) -> bool:
        return self.endings[0].score is not None

    def generate(self, contexts: Any, **options: Any) -> list[Ending]:
        return list(self.endings)

    def explain(self, context: Any, ending: str, rollouts: int = 16, seed: int | None = 0) -> Explanation:
        if ending not in self.explained:
            raise UserError("ending 1 has 99 tokens; at most 9 are accepted")
        return self.explained[ending]


def last_page(writer: StoryEnder) -> str:
    *_, page = demo.end_story(writer, SENTENCES, 6, 0.8, 0.9, 0)
    return page


class Token(NamedTuple):
    text: str
    hue: str
    strength: float
    reward: float
    occlusion: float


class Page(HTMLParser):
    """What a browser makes of the HTML: its text, the names of its tags, its tokens."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.tokens = "", set[str](), list[Token]()
        self._open: dict[str, str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        attributes = {name: value or "" for name, value in attrs}
        self._open = attributes if "token" in attributes.get("class", "").split() else None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            self.tokens.append(as_token(data, self._open["style"], self._open["data-tip"]))

    def handle_endtag(self, tag: str) -> None:
        self._open = None


def as_token(text: str, style: str, tip: str) -> Token:
    hue, strength = re.findall(r"--hue: ([\d ]+); --strength: ([\d.]+)%", style)[0]
    reward, occlusion = re.findall(r"[+-]\d\.\d+", tip.replace("\N{MINUS SIGN}", "-"))
    return Token(text, hue, float(strength), float(reward), float(occlusion))


def test_tokens_are_coloured_in_the_text_by_sign_and_size_of_their_reward() -> None:
    page = Page(last_page(Scripted([Ending(HUMAN.ending, -9.0, 0.75)], {HUMAN.ending: HUMAN})))
    blue, orange = "40 120 220", "222 110 20"
    assert page.tokens == [
        Token("Tom", blue, 31.0, 0.1, 0.3),
        Token("got", orange, 15.5, -0.05, 0),
        Token("it", orange, 0, 0, 0),
        Token(".", blue, 62.0, 0.2, 0),
    ]
    assert "Tom got it.0.750" in page.text
    assert "0.500 before the first token, +0.250 by the tokens · log p = −9.0" in page.text


def test_colours_have_one_scale_on_the_page() -> None:
    weaker = Explanation("He did.", 0.6, 0.5, (Credit("he", 0.1, 0.0), Credit("did", 0.0, 0.0), Credit(".", 0.0, 0.0)))
    endings = [Ending(HUMAN.ending, -9.0, 0.75), Ending(weaker.ending, -9.0, 0.6)]
    tokens = Page(last_page(Scripted(endings, {e.ending: e for e in (HUMAN, weaker)}))).tokens
    assert [(token.text, token.strength) for token in tokens if token.reward == 0.1] == [("Tom", 31.0), ("He", 31.0)]


@pytest.mark.parametrize("token", ["<unk>", "</s>", "dog"])
def test_a_token_that_is_not_in_the_text_stands_apart(token: str) -> None:
    credits = (Credit("tom", 0.1, 0.0), Credit(token, 0.2, 0.0), Credit("ran", 0.3, 0.0))
    page = Page(demo.render([Ending("Tom ran", -1.0, 0.5)], {"Tom ran": Explanation("Tom ran", 0.5, 0.1, credits)}))
    assert [token.text for token in page.tokens] == ["Tom", "end" if token == "</s>" else token, "ran"]


@pytest.mark.parametrize(
    ("text", "tokens", "shown"),
    [
        ("Tom ran to a bakery.", "tom ran to a <unk> . </s>", ["Tom", "ran", "to", "a", "bakery", ".", "end"]),
        ("A bar at a café", "a <unk> at a <unk> </s>", ["A", "bar", "at", "a", "café", "end"]),
        ("He.... ran", "he <unk> ran </s>", ["He", "....", "ran", "end"]),
        ("Two odd words", "two <unk> <unk> words </s>", ["Two", "<unk>", "odd", "words", "end"]),
    ],
)
def test_an_unknown_word_has_its_own_place(text: str, tokens: str, shown: list[str]) -> None:
    credits = tuple(Credit(token, 0.1, 0.0) for token in tokens.split())
    page = Page(demo.render([Ending(text, -1.0, 0.5)], {text: Explanation(text, 0.5, 0.1, credits)}))
    assert [token.text for token in page.tokens] == shown
    assert text in page.text.replace("<unk>", "")


def test_what_models_and_users_write_is_never_markup() -> None:
    evil = '<script>alert("&amp;")</script>'
    explanation = Explanation(evil, 0.5, 0.5, (Credit("<script>", 0.1, 0.0), Credit('<img src="x">', 0.1, 0.0)))
    plain = demo.render([Ending(evil, -1.0, 0.5)], {})
    coloured = demo.render([Ending(evil, -1.0, 0.5)], {evil: explanation})
    failed = demo.render([Ending("ok", -1.0, 0.5)], {"ok": UserError(evil)})
    for page in map(Page, (plain, coloured, failed)):
        assert page.tags.isdisjoint({"script", "img"})
    assert evil in Page(plain).text
    assert evil in Page(failed).text
    assert [token.text for token in Page(coloured).tokens] == ["<script>", '<img src="x">']


def test_an_ending_that_cannot_be_explained_says_why_and_the_others_are_explained() -> None:
    endings = [Ending("Tom left.", -5.0, 0.9), Ending(HUMAN.ending, -9.0, 0.75)]
    page = Page(last_page(Scripted(endings, {HUMAN.ending: HUMAN})))
    assert "no rewards: ending 1 has 99 tokens; at most 9 are accepted" in page.text
    assert len(page.tokens) == 4


def test_without_a_discriminator_the_most_probable_ending_is_first() -> None:
    page = Page(last_page(Scripted([Ending("Worse.", -9.0, None), Ending("Better.", -5.0, None)], {})))
    assert "no discriminator" in page.text
    assert page.text.index("Better.") < page.text.index("Worse.")
    assert page.tokens == []


def test_progress_is_told_ending_by_ending() -> None:
    endings = [Ending(HUMAN.ending, -9.0, 0.75), Ending("Tom left.", -5.0, 0.5)]
    pages = [Page(html).text for html in demo.end_story(Scripted(endings, {}), SENTENCES, 2, 0.8, 0.9, 0)]
    statuses = [text.partition(" …")[0] for text in pages if "…" in text]
    assert statuses == ["Writing the endings", *(f"Rewarding the tokens of ending {i} of 2" for i in (1, 2))]


def test_the_first_story_is_of_the_world_that_the_model_knows() -> None:
    from textgan.data.cards import load_card
    from textgan.data.story_world import StoryWorld

    assert demo.example_story("rocstories") == demo.EVERYDAY
    world = StoryWorld(load_card("story_world").read["rules"])
    assert world.check(demo.example_story("story_world"), "Anna went home.").reason != ""  # raises for another world's


def test_without_gradio_it_says_how_to_get_it(ender: StoryEnder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=re.escape("pip install textgan[demo]")):
        demo.serve(ender)


def test_a_port_in_use_is_a_user_error(ender: StoryEnder) -> None:
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"127\.0\.0\.1:{port} cannot be listened on \(Address already in use\)"):
            demo.serve(ender, port=port)
    with pytest.raises(UserError, match="the port is 70000; 1 to 65535 are accepted"):
        demo.serve(ender, port=70_000)


@pytest.fixture(scope="module")
def looked_up() -> Iterator[set[str]]:
    """The hosts whose addresses this process asks for."""
    hosts, getaddrinfo = set[str](), socket.getaddrinfo

    def spy(host: Any, *args: Any, **kwargs: Any) -> Any:
        hosts.add(host.decode() if isinstance(host, bytes) else str(host))
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", spy)
        yield hosts


@pytest.fixture(scope="module")
def url(ender: StoryEnder, looked_up: set[str]) -> Iterator[str]:
    """The page's address, served by a thread of this process."""
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    loops, new_event_loop = list[asyncio.AbstractEventLoop](), asyncio.new_event_loop

    def recorded() -> asyncio.AbstractEventLoop:
        loops.append(new_event_loop())
        return loops[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", recorded)
        page = demo.serve(ender, port=port, block=False)
    yield f"http://127.0.0.1:{port}/"
    page.close(verbose=False)
    for loop in loops:  # gradio leaves some open, to the garbage collector's dismay
        loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture(scope="module")
def browser(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs the programs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in f"{flags} disable-component-update disable-sync disable-dev-shm-usage window-size=1400,1100".split():
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.get(url)
    yield browser
    browser.quit()


def test_four_sentences_get_endings_with_scores_and_coloured_tokens(browser: Any, ender: StoryEnder) -> None:
    for i, sentence in enumerate(SENTENCES, start=1):
        write(browser, f"#sentence-{i} textarea", sentence)
    write(browser, "#endings input[type=number]", "3")
    write(browser, "#temperature input[type=number]", "0.5")
    write(browser, "#seed input", "7")
    wait_for(browser, "#end-the-story")[0].click()
    shown = wait_for(browser, ".endings:not(.status ~ *) > .ending")  # nothing is being done any more
    expected = ender.generate(
        SENTENCES, 3, do_sample=True, temperature=0.5, top_p=0.9, rerank="discriminator", distinct=True, seed=7
    )
    assert len(shown) == len(expected) == 3
    explained = 0
    for card, ending in zip(shown, expected, strict=True):
        text = card.find_element("class name", "text").get_attribute("textContent")
        assert text.removesuffix("end") == ending.text
        assert card.find_element("css selector", ".score b").text == f"{ending.score:.3f}"
        try:
            explanation = ender.explain(SENTENCES, ending.text, seed=7)
        except UserError:  # it has learned so little that it may not end an ending
            continue
        explained += 1
        tokens = card.find_elements("class name", "token")
        told = [as_token(t.text, t.get_attribute("style"), t.get_attribute("data-tip")) for t in tokens]
        assert [t.reward for t in told] == pytest.approx([c.reward for c in explanation.credits], abs=6e-4)
        strongest = max(range(len(told)), key=lambda i: abs(explanation.credits[i].reward))
        colour = tokens[strongest].value_of_css_property("background-color")
        assert re.match(rf"rgba\({told[strongest].hue.replace(' ', ', ')}, 0?\.\d+\)", colour)
    assert explained > 0


def test_three_sentences_get_the_error_and_no_traceback(browser: Any) -> None:
    write(browser, "#sentence-4 textarea", "")
    wait_for(browser, "#end-the-story")[0].click()
    message = "the context, sentence 4 is empty; text is accepted"
    wait_for_text(browser, ".alert", message)
    wait_for_text(browser, "[data-testid=toast-body]", message)
    assert "Traceback" not in browser.page_source


def test_nothing_is_asked_of_another_machine(browser: Any, looked_up: set[str]) -> None:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    hosts = {urlsplit(address).hostname for address in asked if address.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}
    assert looked_up <= LOCAL


def write(browser: Any, selector: str, text: str) -> None:
    """Replaces what is in a box as a person would, key by key."""
    (box,) = wait_for(browser, selector)
    box.send_keys("\ue009a\ue000", "\ue003")  # control-a, backspace
    box.send_keys(text, "\ue004")


def wait_for(browser: Any, selector: str) -> list[Any]:
    """The elements that match, as soon as there is one."""
    from selenium.webdriver.support.ui import WebDriverWait

    found: list[Any] = WebDriverWait(browser, 20).until(lambda b: b.find_elements("css selector", selector))
    return found


def wait_for_text(browser: Any, selector: str, text: str) -> None:
    """Waits until what the selector finds is one element that says `text`, which on a busy machine comes later."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    def says(browser: Any) -> bool:
        return [text in element.text for element in browser.find_elements("css selector", selector)] == [True]

    WebDriverWait(browser, 20, ignored_exceptions=[StaleElementReferenceException]).until(says)
