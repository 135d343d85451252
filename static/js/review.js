// The review screen by keyboard. Without this script the same forms work by mouse and touch.
//
// A key means the card on screen when it is pressed. A decision takes its card off at once and shows
// the next one, which waits in the page; what was decided goes to the server in order, one after the
// other, each with a client id, so that sending again is harmless. What could not be sent comes back.
import { Stage } from "./review-stage.js";
import { Outbox } from "./review-outbox.js";
import { startClock } from "./review-clock.js";
import { startKeys } from "./review-keys.js";
import { startLooks } from "./review-looks.js";

const byId = (id) => document.getElementById(id);
const review = byId("review");
const say = (text) => (byId("status").textContent = text);
const decide = byId("decide");
const undo = byId("undo");

const uuid = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

const stage = new Stage(byId("lane"), decide);
const outbox = new Outbox({
  queue: review.dataset.claim,
  lane: byId("lane"),
  have: () => stage.slots(),
  onAnswer: (answer) => {
    const isError = stage.receive(answer);
    if (answer.said && (isError || !review.classList.contains("is-rejecting"))) say(stage.words(answer.said));
  },
  onFailure: (entry, why, numWaiting) => {
    if (entry.card) stage.bringBack(entry.card);
    const more = numWaiting > 1 ? ` ${numWaiting - 1} more wait behind it.` : "";
    const text = `Not saved: ${entry.name.toLowerCase()}. ${why} Nothing is lost, the card is still here.${more}`;
    byId("unsaved").querySelector("p").textContent = text;
    byId("unsaved").hidden = false;
    say(text);
  },
  // Whoever drives this page by a program waits for it.
  onFilled: () => (review.dataset.ready = "yes"),
  onSent: () => (byId("unsaved").hidden = true),
});

// --- what can be done with the card on the stage ---
const NAMES = { accept: "Accepted", reject: "Rejected", edit: "Accepted with your words", skip: "Skipped", flag: "Put before a lead", left: "Left is better", right: "Right is better", tie: "Neither is better" };

const setRejecting = (on) => review.classList.toggle("is-rejecting", on);
const isRejecting = () => review.classList.contains("is-rejecting");

const act = {
  /** Decide the card on the stage; `more` are further values of the form. */
  decide(kind, more = {}) {
    const card = stage.card;
    const values = { ...Object.fromEntries(new FormData(decide)), ...more, kind, active_ms: String(Math.round(stage.activeMs())) };
    delete values.csrfmiddlewaretoken;
    if (kind !== "reject") delete values.reason;
    const returned = outbox.replace(card, { values, name: NAMES[kind] });
    stage.next();
    setRejecting(false);
    say(stage.words(`${NAMES[kind]}.`));
    if (!returned) outbox.add({ url: decide.action, values, name: NAMES[kind], card });
  },
  askReason() {
    setRejecting(true);
    say("Reject: press a digit, or choose a reason and Reject again. Esc leaves it.");
  },
  leaveReject() {
    setRejecting(false);
    say("Not rejected.");
  },
  isRejecting,
  undo(decision = "") {
    setRejecting(false);
    const unsent = decision === "" && outbox.takeBack();
    if (unsent) {
      stage.bringBack(unsent.card);
      return say(`Taken back: ${unsent.name.toLowerCase()}. Decide it again.`);
    }
    outbox.add({ url: undo.action, values: { client_id: uuid(), decision }, name: "Undo" });
  },
};

decide.addEventListener("submit", (event) => {
  event.preventDefault();
  const kind = event.submitter?.value;
  if (!stage.card) return;
  if (looks.isPast()) return say("You look at an older decision: Esc leads back to the card.");
  if (kind === "reject" && !new FormData(decide).get("reason")) return act.askReason();
  if (kind === "edit") return looks.edit();
  act.decide(kind);
});
undo.addEventListener("submit", (event) => {
  event.preventDefault();
  act.undo(event.submitter?.value ?? "");
});
// A double click means its first card alone.
review.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.closest("#decide [name=kind]")) event.preventDefault();
}, true);
byId("retry").addEventListener("click", () => {
  const entry = outbox.first();
  if (entry?.card && entry.card === stage.card) stage.next();
  byId("unsaved").hidden = true;
  outbox.send();
});
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) byId("lane").addEventListener(name, (event) => event.stopPropagation());
// An empty screen looks by itself whether there is something now.
review.addEventListener("htmx:afterRequest", ({ target }) => {
  if (!target.matches("[data-empty]")) return;
  byId("lane").querySelector("[data-said]")?.remove();
  stage.receive({ said: "" });
});
addEventListener("beforeunload", (event) => {
  if (outbox.isWaiting()) event.preventDefault();
});

const looks = startLooks({ review, stage, act, say });
startClock({ review, stage, say });
startKeys({ stage, act, looks, say });

review.classList.add("has-script");
stage.meet();
outbox.resume(stage);
if (stage.card) outbox.fillUp(review.dataset.claim);
else review.dataset.ready = "yes";
