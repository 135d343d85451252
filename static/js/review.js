// The review screen by keyboard. Without this script the same forms work by mouse and touch.
//
// A key means the card on screen when it is pressed: each waits, with that card's name, until the one
// before is answered; if its card has been decided by then, it is not applied and that is said. The
// name is new each time a card is shown, and goes along as client id: sending again is harmless.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const review = byId("review");
  if (!review) return;
  const { actions, reasons } = JSON.parse(byId("key-map").textContent);
  const decide = byId("decide");
  const undo = byId("undo");
  const unsaved = byId("unsaved");
  const cardName = () => byId("card").dataset.card ?? "";
  const say = (text) => (byId("status").textContent = text);
  const button = (kind) => decide.querySelector(`[name="kind"][value="${kind}"]`);
  review.classList.add("has-script");

  // --- what is on screen ---
  let shown = null;
  let activeMs = 0;
  let activeSince = performance.now();
  let isWarned = false;
  let isOver = false;
  const meetCard = () => {
    if (shown === cardName()) return;
    // Focus that was on something swapped away would start again at the top of the page.
    if (shown !== null && document.activeElement === document.body) byId("card").focus({ preventScroll: true });
    shown = cardName();
    decide.reset();
    setRejecting(false);
    activeMs = 0;
    activeSince = performance.now();
    isWarned = isOver = false;
  };
  const readActiveMs = () => activeMs + (document.hidden ? 0 : performance.now() - activeSince);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) activeMs += performance.now() - activeSince;
    activeSince = performance.now();
  });
  setInterval(() => {
    const clock = review.querySelector("[data-countdown]");
    if (!clock) return;
    clock.dataset.since ??= performance.now();
    const left = Math.max(0, Math.floor(clock.dataset.countdown - (performance.now() - clock.dataset.since) / 1000));
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (!shown) return;
    if (left === 0) return endLease();
    if (left > 60 || isWarned) return;
    isWarned = true;
    say("One minute left for this card. After that somebody else may be given it; what you decide is kept all the same.");
  }, 1000);

  const endLease = () => {
    if (isOver) return;
    isOver = true;
    review.querySelector("[data-while-yours]").hidden = true;
    review.querySelector("[data-when-over]").hidden = false;
    say("Your time with this card is up. A decision still counts, unless somebody else has been given it.");
  };

  // --- rejecting takes two keys ---
  const setRejecting = (on) => review.classList.toggle("is-rejecting", on);
  const isRejecting = () => review.classList.contains("is-rejecting");
  const askReason = () => {
    setRejecting(true);
    say("Reject: press 1 to 9, or choose a reason and Reject again. Esc leaves it.");
  };

  // --- one request at a time; what was pressed meanwhile waits with its card ---
  const waiting = [];
  let sending = null;
  const press = (key) => {
    waiting.push({ ...key, card: cardName() });
    sendNext();
  };
  const sendNext = () => {
    while (!sending && waiting.length) {
      const key = waiting.shift();
      if (key.action === "undo") undo.requestSubmit(byId("undo-button"));
      else if (key.card !== cardName()) say(`${byId("status").textContent} The key ${key.name} was not applied: its card had been decided.`);
      else if (key.reason) {
        decide.querySelector(`[value="${key.reason}"]`).checked = true;
        decide.requestSubmit(button("reject"));
      } else decide.requestSubmit(button(key.action));
    }
  };
  // The reason is asked for before anything is sent; a double click means its first card alone.
  review.addEventListener("submit", (event) => {
    if (event.target !== decide || event.submitter?.value !== "reject" || new FormData(decide).get("reason")) return;
    event.preventDefault();
    event.stopPropagation();
    askReason();
  }, true);
  review.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("#decide [name=kind]")) event.preventDefault();
  }, true);
  review.addEventListener("htmx:configRequest", (event) => {
    const { parameters, triggeringEvent } = event.detail;
    const submitter = triggeringEvent?.submitter;
    // htmx adds the button that has the focus, which need not be the one that is meant.
    if (submitter) parameters[submitter.name] = submitter.value;
    if (event.target === decide) parameters.active_ms = String(Math.round(readActiveMs()));
  });
  const isOurs = (event) => event.target === decide || event.target === undo;
  review.addEventListener("htmx:beforeRequest", (event) => {
    if (!isOurs(event)) return;
    sending = { form: event.target, submitter: event.detail.requestConfig.triggeringEvent?.submitter };
    byId("card").setAttribute("aria-busy", "true");
  });
  review.addEventListener("htmx:afterRequest", (event) => {
    // htmx lets the next request go only when this event is over.
    if (isOurs(event)) queueMicrotask(() => finish(event.detail.successful, event.detail.xhr.status));
  });
  document.addEventListener("htmx:afterSettle", meetCard);
  // When the server fails, the card stays, and the same thing can be sent again.
  let unsent = null;
  const finish = (isSaved, status) => {
    [unsent, sending] = [sending, null];
    unsaved.hidden = isSaved;
    byId("card").removeAttribute("aria-busy");
    meetCard();
    if (isSaved) return sendNext();
    waiting.length = 0;
    const why = status ? `the server answered ${status}` : "the server does not answer";
    say((unsaved.querySelector("p").textContent = `Not saved: ${why}. Nothing is lost, the card is still here.`));
  };
  byId("retry").addEventListener("click", () => unsent.form.requestSubmit(unsent.submitter));
  for (const name of ["htmx:responseError", "htmx:sendError"]) review.addEventListener(name, (event) => event.stopPropagation());

  // --- keys ---
  const TYPING = "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=submit], [type=button])";
  const isForOthers = (event) => {
    const isShortcut = (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph");
    return event.defaultPrevented || isShortcut || event.isComposing || event.target.closest?.(TYPING);
  };
  document.addEventListener("keydown", (event) => {
    if (isForOthers(event)) return;
    const action = actions[event.key];
    if (document.querySelector("dialog[open], :popover-open")) {
      if (action === "help") byId("keys").close();
      return;
    }
    const reason = reasons[event.key];
    if (event.key === "Escape" && isRejecting()) {
      setRejecting(false);
      say("Not rejected.");
    }
    if (!action && !reason) return;
    event.preventDefault();
    if (event.repeat) return;
    if (action === "help") byId("help-button").click();
    else if (action === "undo") press({ name: event.key, action });
    else if (!shown) say("There is no card to decide.");
    else if (reason && !isRejecting()) say(`A digit gives the reason of a rejection: press x first, then ${event.key}.`);
    else if (action === "reject" && !sending) askReason();
    else press({ name: event.key, action, reason });
  });
  meetCard();
})();
