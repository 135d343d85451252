// What was decided and is not stored yet: sent in order, one at a time, kept until it is.
const HAND = 3;

export class Outbox {
  #entries = [];
  #sending = null;
  #isFailed = false;
  #isLeaving = false;
  #options;

  constructor(options) {
    this.#options = options;
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  isWaiting() {
    return this.#entries.length > 0 && !this.#isLeaving;
  }

  first() {
    return this.#entries[0];
  }

  add(entry) {
    this.#entries.push(entry);
    this.#keep();
    this.send();
  }

  /** A card that came back is decided again: in place of what could not be sent. */
  replace(card, changed) {
    const entry = this.#isFailed && this.#entries.find((one) => one.card === card);
    if (!entry) return false;
    Object.assign(entry, changed);
    this.#isFailed = false;
    this.#keep();
    queueMicrotask(() => this.send());
    return true;
  }

  /** The last decision, if it has not been sent yet: then it never was. */
  takeBack() {
    const last = this.#entries.at(-1);
    if (!last?.card || last === this.#sending || last.wasSent) return null;
    this.#entries.pop();
    this.#keep();
    return last;
  }

  /** Ask for as many cards as the page may hold. */
  fillUp(url) {
    this.add({ url, values: {}, name: "Taking cards", isQuiet: true });
  }

  /** Go on with what a page before this one could not send: back from the login, or reloaded. */
  resume(stage) {
    const kept = JSON.parse(sessionStorage.getItem(this.#key) ?? "[]");
    for (const one of kept) {
      const card = one.values.slot ? stage.take(one.values.slot) : null;
      if (card) card.dataset.card = one.values.client_id;
      this.#entries.push({ ...one, card, wasSent: true });
    }
    if (kept.length) this.send();
  }

  async send() {
    if (this.#sending || !this.#entries.length) return;
    this.#isFailed = false;
    while (this.#entries.length && !this.#isFailed && !this.#isLeaving) {
      const entry = (this.#sending = this.#entries[0]);
      entry.wasSent = true;
      const answer = await this.#post(entry);
      this.#sending = null;
      if (answer.isLeaving) return void (this.#isLeaving = true);
      if (answer.isSaved) this.#done(entry, answer);
      else this.#fail(entry, answer);
    }
  }

  #done(entry, answer) {
    this.#entries.shift();
    this.#keep();
    this.#options.onSent();
    this.#options.onAnswer(answer);
    if (entry.isQuiet) this.#options.onFilled();
  }

  #fail(entry, { status }) {
    if (entry.isQuiet) {
      this.#entries.shift();
      return this.#options.onFilled();
    }
    this.#isFailed = true;
    const why = status ? `The server answered ${status}.` : "The server does not answer.";
    const waiting = this.#entries.filter((one) => !one.isQuiet).length;
    this.#options.onFailure(entry, why, waiting);
  }

  #post(entry) {
    const { lane, have } = this.#options;
    const queued = this.#entries.slice(1).map((one) => one.values.slot);
    const values = { ...entry.values, hand: String(HAND), have: [...have(), ...queued].filter(Boolean).join(" ") };
    return new Promise((resolve) => {
      const finish = ({ detail }) => {
        lane.removeEventListener("htmx:afterRequest", finish);
        const said = lane.querySelector("[data-said]");
        said?.remove();
        resolve({
          isSaved: detail.successful,
          isLeaving: Boolean(detail.xhr.getResponseHeader("HX-Redirect")),
          status: detail.xhr.status,
          said: said?.textContent ?? "",
          until: said?.dataset.until,
        });
        if (said?.dataset.until) document.dispatchEvent(new CustomEvent("review:until", { detail: said.dataset }));
      };
      lane.addEventListener("htmx:afterRequest", finish);
      htmx.ajax("POST", entry.url, { source: lane, target: lane, swap: "beforeend", values }).catch(() => {});
    });
  }

  get #key() {
    return `unsent ${this.#options.queue}`;
  }

  #keep() {
    const kept = this.#entries.filter((one) => !one.isQuiet).map(({ url, values, name }) => ({ url, values, name }));
    if (kept.length) sessionStorage.setItem(this.#key, JSON.stringify(kept));
    else sessionStorage.removeItem(this.#key);
  }
}
