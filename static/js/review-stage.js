// The card on screen, and those that wait behind it in the page.
const ARM_MS = 250;

export class Stage {
  #lane;
  #form;
  #shownAt = 0;
  #activeMs = 0;
  #activeSince = performance.now();

  constructor(lane, form) {
    this.#lane = lane;
    this.#form = form;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#activeMs += performance.now() - this.#activeSince;
      this.#activeSince = performance.now();
    });
  }

  /** What is on screen: a card, or why there is none. */
  get shown() {
    return document.getElementById("card");
  }

  /** The card on screen; null where there is none. */
  get card() {
    return this.shown?.dataset.card ? this.shown : null;
  }

  /** Deciding keys rest for a moment when a card appears: nobody can have read it. */
  get isArmed() {
    return performance.now() - this.#shownAt >= ARM_MS;
  }

  get title() {
    return this.card?.dataset.title ?? "";
  }

  /** Milliseconds for which the card was on a visible screen. */
  activeMs() {
    return this.#activeMs + (document.hidden ? 0 : performance.now() - this.#activeSince);
  }

  slots() {
    return [this.card, ...this.#waiting()].filter(Boolean).map((card) => card.dataset.slot);
  }

  waitingSlots() {
    return this.#waiting().map((card) => card.dataset.slot);
  }

  words(said) {
    return this.card && said ? `${said} Now: ${this.title}` : said;
  }

  /** Take the card off and show the next one, or that the next one is on its way. */
  next() {
    const leaving = this.shown;
    const [coming] = this.#waiting();
    this.#show(coming ?? this.#placeholder(), leaving);
    leaving.remove();
  }

  /** Put a card on screen again; the one that is there waits behind it. */
  bringBack(card) {
    const shown = this.shown;
    if (shown === card) return;
    if (shown.dataset.card) {
      const hole = document.createComment("");
      shown.replaceWith(hole);
      shown.removeAttribute("id");
      this.#lane.prepend(shown);
      this.#show(card, hole);
      hole.remove();
    } else {
      this.#show(card, shown);
      shown.remove();
    }
  }

  /** A card that waits in the page and was decided before: it must not be shown. */
  take(slot) {
    const found = [this.card, ...this.#waiting()].find((card) => card?.dataset.slot === slot);
    if (found && found === this.card) this.next();
    found?.remove();
    return found ?? null;
  }

  /** Sort in what the server has sent into the lane; true where it says that nothing was saved. */
  receive(answer) {
    const place = (card) => Number(card.dataset.place);
    for (const card of this.#waiting()) {
      if (this.card && place(card) < place(this.card)) this.bringBack(card);
    }
    const empty = this.#lane.querySelector("[data-empty]");
    if (!this.card) {
      const [coming] = this.#waiting();
      const shown = this.shown;
      // What is empty for the same reason as before stays as it is: nothing moves without cause.
      if (coming || (empty && empty.dataset.empty !== shown.dataset.empty)) {
        this.#show(coming ?? empty, shown);
        shown.remove();
      }
    }
    for (const old of this.#lane.querySelectorAll("[data-empty]")) old.remove();
    return answer.said.startsWith("Not saved");
  }

  /** Let the form mean the card on screen. */
  meet() {
    const card = this.card;
    this.#form.reset();
    for (const [name, value] of Object.entries({ slot: "slot", proof: "proof", client_id: "card" })) {
      this.#form.elements[name].value = card?.dataset[value] ?? "";
    }
    this.#activeMs = 0;
    this.#activeSince = this.#shownAt = performance.now();
  }

  #waiting() {
    return [...this.#lane.querySelectorAll(":scope > [data-card]")];
  }

  #show(card, before) {
    const hadFocus = document.activeElement === document.body || before.contains?.(document.activeElement);
    before.removeAttribute?.("id");
    card.id = "card";
    before.before(card);
    // Focus that was on something taken away would start again at the top of the page.
    if (hadFocus) card.focus({ preventScroll: true });
    scrollTo(0, 0);
    this.meet();
    document.dispatchEvent(new CustomEvent("review:card"));
  }

  #placeholder() {
    const waiting = document.createElement("article");
    waiting.className = "review-card review-coming";
    waiting.tabIndex = -1;
    waiting.dataset.coming = "yes";
    waiting.textContent = "The next card is on its way.";
    return waiting;
  }
}
