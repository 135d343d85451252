"""The review by keyboard in a real browser: what a key does, what it never does, what is lost."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

from distill.models import Decision, Export, Label
from distill.services.export import export_dataset
from review.logic.keys import KEYS, key_of
from review.models import Queue, Slot
from review.services.save_keys import save_keys
from tests.builders import PASSWORD, make_judgement, make_queue, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

UNMAPPED = ("Tab", "Backspace", "Delete", "ArrowDown", "PageDown", "F2", "Home", "End")
ARM_MS = 260
"""So long a card has to be there before a key decides it."""
UNSENT = 'Object.keys(sessionStorage).some((key) => key.startsWith("unsent"))'
# The browser itself notes which card each key was pressed on, before the page's script sees it.
RECORD_KEYS = """
addEventListener("keydown", (event) => {
  const slot = document.getElementById("card")?.dataset.slot;
  (window.pressed ??= []).push([event.key, slot ? Number(slot) : null]);
}, true);
addEventListener("securitypolicyviolation", (event) => console.error(`CSP ${event.violatedDirective}`));
"""


@dataclass
class Screen:
    """A page of one queue, and what its browser complained about and sent."""

    page: Page
    queue: Queue
    problems: list[str] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)

    def settled(self, num_decisions: int) -> None:
        """Wait until so many of one's decisions stand in the list."""
        expect(self.page.locator("#history li")).to_have_count(num_decisions)

    def press(self, *keys: str) -> None:
        """Press keys on a card that has been there for a moment."""
        self.page.wait_for_timeout(ARM_MS)
        for key in keys:
            self.page.keyboard.press(key)

    def sent(self) -> None:
        """Wait until nothing is under way any more."""
        while self.page.evaluate(UNSENT):
            self.page.wait_for_timeout(20)

    def note(self, request: Request) -> None:
        if request.method == "POST":
            self.posts.append(request.url)


@pytest.fixture
def anna() -> User:
    return make_user("reviewer", name="anna")


@pytest.fixture
def open_queue(
    live_server, context: BrowserContext, anna: User
) -> Iterator[Callable[[int], Screen]]:
    """Opens the screen of a new queue of so many cards, the first of them on it."""
    screens: list[Screen] = []

    def open_it(num_cards: int) -> Screen:
        log_in(context, anna, live_server.url)
        context.add_init_script(RECORD_KEYS)
        screen = Screen(context.new_page(), make_queue(num_cards, readers=[anna]))
        screen.page.set_default_timeout(10_000)
        screen.page.on("pageerror", lambda error: screen.problems.append(str(error)))
        screen.page.on("console", lambda line: complain(screen, line.type, line.text))
        screen.page.on("request", screen.note)
        screen.page.goto(f"{live_server.url}/review/{screen.queue.pk}/")
        screen.page.get_by_role("button", name="Take a card").click()
        expect(screen.page.locator("#card[data-card]")).to_be_visible()
        expect(screen.page.locator("#review[data-ready]")).to_be_attached()
        expect(screen.page.locator("#lane > [data-card]")).to_have_count(min(2, num_cards - 1))
        screen.posts.clear()
        screens.append(screen)
        return screen

    yield open_it
    assert [problem for screen in screens for problem in screen.problems] == []


def log_in(context: BrowserContext, user: User, url: str) -> None:
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])


def hold_decisions(screen: Screen) -> list[Route]:
    """The decisions that were sent and wait for the test to let them go."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    screen.page.route("**/decide/", hold)
    return held


def let_go(screen: Screen, held: list[Route]) -> None:
    """Let the decision that is held go on; the page may know of it before the test does."""
    while not held:
        screen.page.wait_for_timeout(20)
    held.pop().continue_()


def complain(screen: Screen, kind: str, text: str) -> None:
    # What the tests break on purpose: the browser and htmx report failed requests here.
    if kind == "error" and not text.startswith(("Failed to load", "htmx:", "Response Status")):
        screen.problems.append(text)


def test_a_whole_session_by_keyboard(live_server, page: Page, anna: User):
    queue = make_queue(13)
    page.goto(f"{live_server.url}/review/{queue.pk}/")
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile("/login/"))
    page.get_by_label("Username").focus()
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Read this first")).to_be_visible()
    expect(page.locator("#start")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#card[data-card]")).to_be_visible()
    keys = ["a", "x1", "a", "s", "a", "x9", "a", "a", "x3", "s", "a", "a"]
    card = page.locator("#card")
    for presses in keys:
        decided = card.get_attribute("data-slot") or ""
        page.wait_for_timeout(ARM_MS)
        for key in presses:
            page.keyboard.press(key)
        expect(card).not_to_have_attribute("data-slot", decided)
    expect(page.locator("#history li")).to_have_count(10)
    page.keyboard.press("u")
    expect(page.locator("#status")).to_contain_text("Taken back")
    page.wait_for_timeout(ARM_MS)
    page.keyboard.press("x")
    expect(page.locator("#status")).to_contain_text("Reject: press a digit")
    page.keyboard.press("5")
    expect(page.locator("#status")).to_contain_text("Rejected: Method too vague")

    kinds = Decision.objects.order_by("id").values_list("kind", flat=True)
    done = {"a": "accept", "x": "reject", "s": "skip"}
    assert list(kinds) == [*(done[presses[0]] for presses in keys), "undo", "reject"]
    rejected = Label.objects.filter(outcome="rejected").order_by("decision")
    reasons = [label.decision.reasons for label in rejected]
    assert reasons == [["not_falsifiable"], ["other"], ["not_grounded"], ["vague_method"]]
    assert Label.objects.filter(outcome="accepted").count() == 6
    assert all(decision.active_ms is not None for decision in Decision.objects.exclude(kind="undo"))
    accepted = Label.objects.filter(outcome="accepted").values_list("completion__key", flat=True)
    assert sorted(exported_keys()) == sorted(accepted)


def exported_keys() -> list[str]:
    """The completions that an export of what people accepted holds, read from its files."""
    export = export_dataset(dataset=Queue.objects.get().dataset, policy=Export.Policy.REVIEWED)
    files = Path(settings.DATA_DIR, export.folder).glob("*.jsonl")
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [orjson.loads(line)["completion_id"] for line in lines]


def test_only_mapped_keys_send_a_request(open_queue):
    screen = open_queue(6)
    sent: list[str] = []
    screen.page.on("request", lambda request: sent.append(request.url))
    mapped = {key.key for key in KEYS}
    printable = string.digits + string.ascii_letters + string.punctuation + " "
    screen.page.wait_for_timeout(ARM_MS)
    for key in (*(one for one in printable if one not in mapped), *UNMAPPED):
        screen.page.keyboard.press(key)
    assert sent == []
    silent = {"reject", "edit", "marks", "note", "newer", "parent", "diff", "context", "help", "go"}
    for key_pressed in (key.key for key in KEYS if key.action in silent):
        screen.press(key_pressed)
        screen.press("Escape")
    assert sent == []
    for action in ("accept", "skip", "flag", "undo", "judge", "extend"):
        before = len(screen.posts)
        screen.press(key_of(action).key)
        screen.sent()
        screen.page.wait_for_timeout(100)
        assert len(screen.posts) == before + 1, action
    kinds = Decision.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["accept", "skip", "flag", "undo"]


def test_keys_pressed_as_fast_as_possible_never_hit_another_card(open_queue):
    screen = open_queue(30)
    for _ in range(200):
        for key in "aaxs1a":
            screen.page.keyboard.press(key)
        if Decision.objects.count() >= 10:
            break
    screen.sent()
    screen.sent()
    keys_on: dict[int, list[str]] = {}
    for key, slot in screen.page.evaluate("window.pressed"):
        if slot is not None:
            keys_on.setdefault(slot, []).append(key)
    slots = dict(Slot.objects.values_list("completion", "id"))
    decisions = Decision.objects.order_by("id")
    assert len(decisions) >= 10
    assert len({decision.completion_id for decision in decisions}) == len(decisions)
    for decision in decisions:
        keys = keys_on[slots[decision.completion_id]]
        wanted = {"accept": "a", "reject": "1", "skip": "s"}[decision.kind]
        assert any(keys[n] == wanted and decides(keys, n) for n in range(len(keys)))
    # Every card that was left was left by a key: none lost, none skipped over.
    on_screen = screen.page.locator("#card").get_attribute("data-slot")
    assert {slots[d.completion_id] for d in decisions} == set(keys_on) - {int(on_screen or 0)}


def decides(keys: list[str], number: int) -> bool:
    key = keys[number]
    return key in {"a", "s"} or (key.isdigit() and "x" in keys[:number])


def test_a_key_meets_the_card_on_screen_while_the_one_before_is_under_way(open_queue):
    screen = open_queue(4)
    first = screen.page.locator("#card").get_attribute("data-slot") or ""
    held = hold_decisions(screen)
    screen.press("a")
    expect(screen.page.locator("#card")).not_to_have_attribute("data-slot", first)
    second = screen.page.locator("#card").get_attribute("data-slot") or ""
    screen.press("s")
    let_go(screen, held)
    let_go(screen, held)
    screen.settled(2)
    slots = dict(Slot.objects.values_list("completion", "id"))
    decided = [(d.kind, str(slots[d.completion_id])) for d in Decision.objects.order_by("id")]
    assert decided == [("accept", first), ("skip", second)]


def test_an_undo_pressed_while_a_decision_is_under_way_takes_that_back(open_queue):
    screen = open_queue(3)
    slot = screen.page.locator("#card").get_attribute("data-slot") or ""
    held = hold_decisions(screen)
    screen.press("a")
    screen.page.keyboard.press("u")
    let_go(screen, held)
    expect(screen.page.locator("#status")).to_contain_text("Taken back")
    expect(screen.page.locator("#card")).to_have_attribute("data-slot", slot)
    assert not Label.objects.exists()
    assert list(Decision.objects.order_by("id").values_list("kind", flat=True)) == [
        "accept",
        "undo",
    ]


def test_what_was_not_sent_yet_is_taken_back_without_the_server(open_queue):
    screen = open_queue(4)
    held = hold_decisions(screen)
    screen.press("a")
    second = screen.page.locator("#card").get_attribute("data-slot") or ""
    screen.press("s")
    screen.page.keyboard.press("u")
    expect(screen.page.locator("#card")).to_have_attribute("data-slot", second)
    let_go(screen, held)
    screen.settled(1)
    assert list(Decision.objects.values_list("kind", flat=True)) == ["accept"]


def test_a_held_key_decides_one_card(open_queue):
    screen = open_queue(5)
    screen.page.wait_for_timeout(ARM_MS)
    for _ in range(8):
        screen.page.keyboard.down("a")
    screen.page.keyboard.up("a")
    screen.settled(1)
    screen.sent()
    assert Decision.objects.count() == 1


def test_keys_rest_in_fields_dialogs_and_shortcuts(open_queue):
    screen = open_queue(2)
    note = screen.page.get_by_label("Note")
    note.fill("")
    note.press_sequentially("asx1u?")
    expect(note).to_have_value("asx1u?")
    screen.page.keyboard.press("Tab")
    screen.page.keyboard.press("?")
    expect(screen.page.get_by_role("dialog")).to_be_visible()
    for key in "asx1u":
        screen.page.keyboard.press(key)
    screen.page.keyboard.press("?")
    expect(screen.page.get_by_role("dialog")).to_be_hidden()
    for key in ("Control+s", "Alt+a", "Meta+a"):
        screen.page.keyboard.press(key)
    assert screen.posts == []


def test_the_button_that_has_the_focus_does_not_answer_for_the_key(open_queue):
    screen = open_queue(3)
    screen.page.get_by_role("button", name="Skip").click()
    screen.settled(1)
    screen.press("a")
    screen.settled(2)
    screen.page.locator("#history button").last.focus()
    screen.page.keyboard.press("u")
    screen.settled(1)
    assert list(Decision.objects.order_by("id").values_list("kind", flat=True)) == [
        "skip",
        "accept",
        "undo",
    ]
    assert Decision.objects.get(kind="undo").undoes.kind == "accept"


def test_a_double_click_decides_one_card(open_queue):
    screen = open_queue(4)
    screen.page.get_by_role("button", name="Accept").dblclick()
    screen.settled(1)
    screen.sent()
    assert Decision.objects.count() == 1


def test_reject_asks_for_the_reason_first(open_queue):
    screen = open_queue(2)
    reject = screen.page.get_by_role("button", name="Reject")
    reject.click()
    expect(screen.page.locator("#status")).to_contain_text("choose a reason")
    assert screen.posts == []
    screen.page.get_by_label("Implausible").check()
    reject.click()
    screen.settled(1)
    assert Decision.objects.get().reasons == ["implausible"]


@pytest.mark.parametrize("is_gone", [False, True], ids=["error 500", "no answer"])
def test_when_the_server_fails_the_card_stays_and_can_be_sent_again(open_queue, is_gone):
    screen = open_queue(2)
    slot = screen.page.locator("#card").get_attribute("data-slot")

    def fail(route: Route) -> None:
        if is_gone:
            route.abort()
        else:
            route.fulfill(status=500, body="no")

    screen.page.route("**/decide/", fail)
    screen.page.get_by_label("Note").fill("figure 3")
    screen.page.get_by_role("heading", level=1).click()
    screen.press("x")
    screen.page.keyboard.press("7")
    expect(screen.page.locator("#unsaved")).to_contain_text("Nothing is lost")
    expect(screen.page.locator("#card")).to_have_attribute("data-slot", slot)
    assert not Decision.objects.exists()
    screen.page.unroute("**/decide/")
    screen.page.get_by_role("button", name="Try again").click()
    screen.settled(1)
    expect(screen.page.locator("#unsaved")).to_be_hidden()
    decision = Decision.objects.get()
    assert (decision.reasons, decision.note) == (["wrong_format"], "figure 3")
    assert decision.slot.pk == int(slot)


def test_an_answer_that_got_lost_is_not_decided_twice(open_queue):
    screen = open_queue(2)

    def lose_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    screen.page.route("**/decide/", lose_answer)
    screen.press("a")
    expect(screen.page.locator("#unsaved")).to_be_visible()
    screen.page.unroute("**/decide/")
    screen.page.get_by_role("button", name="Try again").click()
    expect(screen.page.locator("#status")).to_contain_text("saved before")
    assert Decision.objects.count() == 1


def test_after_the_login_has_expired_what_was_not_sent_is_sent(open_queue):
    screen = open_queue(3)
    slot = int(screen.page.locator("#card").get_attribute("data-slot") or 0)
    screen.page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    screen.press("a")
    expect(screen.page).to_have_url(re.compile("/login/"))
    assert not Decision.objects.exists()
    screen.page.get_by_label("Username").fill("anna")
    screen.page.get_by_label("Password").fill(PASSWORD)
    screen.page.keyboard.press("Enter")
    screen.settled(1)
    assert Decision.objects.get().slot.pk == slot
    expect(screen.page.locator("#card[data-card]")).not_to_have_attribute("data-slot", str(slot))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_for_axe_to_find(open_queue, scheme):
    screen = open_queue(2)
    screen.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    screen.page.reload()
    no_violations(screen.page)
    for number in (1, 2):
        screen.press("x")
        if number == 1:
            no_violations(screen.page)
        screen.page.keyboard.press("8")
        screen.settled(number)
    expect(screen.page.locator("#take")).to_be_visible()
    no_violations(screen.page)
    screen.page.get_by_role("link", name="Review").first.click()
    expect(screen.page.get_by_role("table")).to_be_visible()
    no_violations(screen.page)


def no_violations(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_without_javascript_the_forms_do_it(live_server, browser: Browser, anna: User):
    queue = make_queue(3, readers=[anna])
    context = browser.new_context(java_script_enabled=False)
    log_in(context, anna, live_server.url)
    page = context.new_page()
    page.goto(f"{live_server.url}/review/")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Accepted.")).to_be_visible()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("A rejection needs a reason")).to_be_visible()
    page.get_by_label("Unsafe").check()
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("#history li")).to_have_count(2)
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_text("The rest is for others")).to_be_visible()
    page.get_by_role("button", name="Undo: accept").click()
    expect(page.locator("#card[data-card]")).to_be_visible()
    context.close()
    kinds = Decision.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["accept", "reject", "skip", "undo"]
    assert Label.objects.get().outcome == "rejected"
    assert queue.slots.get(state="claimed").reviewer == anna


def test_when_the_lease_runs_out_the_card_says_so_and_can_be_taken_again(open_queue):
    screen = open_queue(1)
    page = screen.page
    clock = page.locator("#card [data-countdown]")
    clock.evaluate("clock => { clock.dataset.countdown = 2; delete clock.dataset.since }")
    again = page.get_by_role("button", name="Take it again")
    expect(again).to_be_hidden()
    expect(again).to_be_visible()
    expect(clock).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("Your time with this card is up")
    page.keyboard.press("m")
    expect(page.locator("#status")).to_contain_text("begins anew")
    expect(again).to_be_hidden()
    expect(clock).to_contain_text("9:")


def test_leaving_gives_back_the_cards_that_wait(open_queue):
    screen = open_queue(4)
    assert Slot.objects.filter(state="claimed").count() == 3
    on_screen = int(screen.page.locator("#card").get_attribute("data-slot") or 0)
    screen.page.goto("about:blank")
    for _ in range(100):
        left = Slot.objects.filter(state="claimed")
        if left.count() == 1:
            break
        screen.page.wait_for_timeout(50)
    kept = left.get()
    assert kept.pk == on_screen
    assert kept.lease_until
    assert kept.lease_until < timezone.now() + timedelta(minutes=1, seconds=5)


def test_older_decisions_are_looked_at_and_not_changed(open_queue):
    screen = open_queue(4)
    slot = screen.page.locator("#card").get_attribute("data-slot")
    screen.press("a")
    screen.press("s")
    screen.settled(2)
    screen.page.keyboard.press("k")
    expect(screen.page.locator("#past article")).to_contain_text("Skip")
    screen.page.keyboard.press("k")
    expect(screen.page.locator("#past article")).to_contain_text("Accept")
    screen.page.keyboard.press("a")
    expect(screen.page.locator("#status")).to_contain_text("You look at an older decision")
    screen.page.keyboard.press("u")
    expect(screen.page.locator("#card")).to_have_attribute("data-slot", slot or "")
    expect(screen.page.locator("#past article")).to_have_count(0)
    kinds = Decision.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["accept", "skip", "undo"]


def test_the_judge_is_shown_when_asked_for_and_the_decision_says_so(open_queue):
    screen = open_queue(2)
    completion = Slot.objects.get(
        pk=screen.page.locator("#card").get_attribute("data-slot")
    ).completion
    make_judgement(completion, judge="F", rationale="<b>Sound.</b>")
    expect(screen.page.locator("#card [data-judge]")).to_be_empty()
    screen.page.keyboard.press("v")
    expect(screen.page.locator("#card [data-judge]")).to_contain_text("<b>Sound.</b>")
    screen.press("a")
    screen.press("a")
    screen.settled(2)
    seen = Decision.objects.order_by("id").values_list("judge_seen", flat=True)
    assert list(seen) == [True, False]


def test_an_edit_is_kept_checked_and_saved_as_accepted(open_queue):
    screen = open_queue(3)
    slot = Slot.objects.get(pk=screen.page.locator("#card").get_attribute("data-slot") or 0)
    original = dict(slot.completion.fields)
    screen.page.keyboard.press("e")
    area = screen.page.locator("#card textarea").first
    expect(area).to_be_focused()
    area.fill("Drought halves the activity of nitrifiers <b>within a week</b>.")
    expect(screen.page.locator("#card .review-saved")).to_contain_text("Draft saved")
    area.press("Escape")
    expect(screen.page.locator("#status")).to_contain_text("your draft is kept")
    screen.page.reload()
    screen.press("e")
    expect(area).to_have_value("Drought halves the activity of nitrifiers <b>within a week</b>.")
    for _ in range(2):
        if Decision.objects.exists():
            break
        area.press("Control+Enter")
        screen.page.wait_for_timeout(800)
    screen.settled(1)
    decision = Decision.objects.get()
    assert (decision.kind, decision.completion_id) == ("edit", slot.completion_id)
    assert decision.fields["hypothesis"].startswith("Drought halves")
    assert decision.fields["methodology"] == original["methodology"]
    assert Label.objects.get().outcome == "accepted"


def test_ones_own_keys_act_and_the_usual_ones_do_not(open_queue, anna):
    save_keys(reviewer=anna, keys={"accept": "y"}, is_on=True)
    screen = open_queue(3)
    screen.press("a")
    assert screen.posts == []
    screen.press("y")
    screen.settled(1)
    assert Decision.objects.get().kind == "accept"


def test_who_switches_keys_off_has_buttons(open_queue, anna):
    save_keys(reviewer=anna, keys={}, is_on=False)
    screen = open_queue(2)
    screen.press("a", "x", "1", "s", "u", "?")
    assert screen.posts == []
    screen.page.get_by_role("button", name="Accept").click()
    screen.settled(1)
