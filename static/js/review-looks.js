// Everything that looks at a card and decides nothing: judge, earlier attempts, source, older decisions.
import { isEditing, openEdit } from "./review-edit.js";
import { equipSwitches, toggleSwitch } from "./review-switch.js";

const byId = (id) => document.getElementById(id);

export function startLooks({ review, stage, act, say }) {
  let back = 0;
  const past = document.createElement("div");
  past.id = "past";
  past.hidden = true;
  byId("lane").before(past);

  const fetchText = async (url, options = {}) => {
    const answer = await fetch(url, { credentials: "same-origin", ...options, headers: { "HX-Request": "true" } }).catch(() => null);
    return answer && { isFine: answer.ok && !answer.headers.get("HX-Redirect"), text: await answer.text(), leads: answer.headers.get("HX-Redirect") };
  };
  // The server escapes what models and people wrote; no script in it can run under our policy.
  const fill = (element, html) => element.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);

  const showPast = async (number) => {
    if (number < 1) return leave();
    const answer = await fetchText(`${review.dataset.past}?back=${number}`);
    if (answer?.leads) return location.assign(answer.leads);
    if (!answer?.isFine) return say(answer ? "There is no older decision of yours here." : "The server does not answer.");
    back = number;
    fill(past, answer.text);
    past.hidden = false;
    review.classList.add("is-past");
    past.querySelector("article")?.focus({ preventScroll: true });
    scrollTo(0, 0);
    say(`Your decision ${number === 1 ? "before" : `${number} before`} this card. Esc or Newer leads back.`);
  };
  const leave = () => {
    if (document.activeElement?.matches?.("#decide [name=note]")) return document.activeElement.blur();
    if (!back) return;
    back = 0;
    past.hidden = true;
    past.replaceChildren();
    review.classList.remove("is-past");
    stage.card?.focus({ preventScroll: true });
    say("Back to the card.");
  };
  document.addEventListener("review:card", () => {
    leave();
    review.classList.remove("is-noting");
    if (stage.card) equipSwitches(stage.card);
  });
  if (stage.card) equipSwitches(stage.card);

  const toggle = (selector, name) => {
    const parts = [...(stage.card?.querySelectorAll(selector) ?? [])];
    if (!parts.length) return say(`This card has no ${name}.`);
    const isOpen = !parts[0].open;
    for (const part of parts) part.open = isOpen;
    if (isOpen) parts[0].scrollIntoView({ block: "nearest" });
    say(`${isOpen ? "Shown" : "Hidden"}: ${name}.`);
  };

  const looks = {
    isPast: () => back > 0,
    pastDecision: () => past.querySelector("[data-decision]")?.dataset.decision ?? "",
    leave,
    older: () => showPast(back + 1),
    newer: () => (back ? showPast(back - 1) : say("This is the newest.")),
    note() {
      review.classList.add("is-noting");
      byId("decide").elements.note.focus();
    },
    parent: () => toggle("[data-lineage] > details", "earlier attempt"),
    diff: () => say(toggleSwitch(stage.card ?? review, "diff") || "This card has no earlier attempt."),
    context() {
      review.classList.toggle("hides-source");
      say(review.classList.contains("hides-source") ? "The source is hidden." : "The source is shown.");
    },
    extend: () => document.dispatchEvent(new CustomEvent("review:extend")),
    search: () => location.assign(review.dataset.search),
    async judge() {
      const card = stage.card;
      if (!card) return say("There is no card.");
      const body = new FormData(byId("undo"));
      body.set("slot", card.dataset.slot);
      body.set("proof", card.dataset.proof);
      const answer = await fetchText(review.dataset.judge, { method: "POST", body });
      if (answer?.leads) return location.assign(answer.leads);
      if (!answer?.isFine) return say(answer?.text || "The server does not answer.");
      fill(card.querySelector("[data-judge]"), answer.text);
      say("What the judges said is shown; your decision will say so.");
    },
    marks: () => say(toggleSwitch(stage.card ?? review, "marks") || "This card has no marks."),
    isEditing: () => Boolean(stage.card) && isEditing(stage.card),
    edit() {
      if (!stage.card) return say("There is no card to edit.");
      const isOpen = openEdit(stage.card, {
        onSave: (fields) => act.decide("edit", { fields_json: JSON.stringify(fields) }),
        onLeave() {
          stage.card?.focus({ preventScroll: true });
          say("Edit left; your draft is kept.");
        },
      });
      say(isOpen ? "Edit: Ctrl and Enter saves it as accepted, Esc leaves it." : "This answer has no fields that could be edited.");
    },
  };

  review.addEventListener("click", (event) => {
    const action = event.target.closest("button[type=button][data-action]")?.dataset.action;
    if (action && action !== "help" && looks[action]) looks[action]();
  });
  return looks;
}
