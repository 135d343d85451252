// Which key does what: the registry stands in the page. Keys rest while somebody types.
const TYPING = "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=submit], [type=button])";
const GO_MS = 1500;
const byId = (id) => document.getElementById(id);

const isForOthers = (event) => {
  const isShortcut = (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph");
  return event.defaultPrevented || isShortcut || event.isComposing || event.target.closest?.(TYPING);
};

export function startKeys({ stage, act, looks, say }) {
  const { actions, reasons, places } = JSON.parse(byId("key-map").textContent);
  const DECIDING = new Set(["accept", "reject", "skip", "flag", "left", "right", "tie"]);
  let isGoing = 0;

  const decide = (action, name) => {
    if (looks.isPast()) return say(`You look at an older decision: press Esc first, then ${name}.`);
    if (!stage.card) return say("There is no card to decide.");
    if (looks.isEditing()) return say("You edit this card: save the edit, or leave it with Esc.");
    if (!stage.isArmed) return say(`${stage.title}: the card has just come. Press ${name} again.`);
    if (action === "reject") return act.isRejecting() ? undefined : act.askReason();
    act.decide(action);
  };
  const giveReason = (reason, name) => {
    if (!stage.card) return say("There is no card to decide.");
    if (!act.isRejecting()) return say(`A digit gives the reason of a rejection: first Reject, then ${name}.`);
    act.decide("reject", { reason });
  };
  const escape = () => {
    if (act.isRejecting()) act.leaveReject();
    else looks.leave();
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]") && !event.isComposing) return escape();
    if (isForOthers(event)) return;
    const action = actions[event.key];
    if (document.querySelector("dialog[open], :popover-open")) {
      if (action === "help") byId("keys").close();
      return;
    }
    const place = isGoing > performance.now() && places[event.key];
    const reason = reasons[event.key];
    isGoing = 0;
    if (!action && !reason && !place) return;
    event.preventDefault();
    if (event.repeat) return;
    if (place) location.assign(place);
    else if (action === "go") {
      isGoing = performance.now() + GO_MS;
      say("Go: press a letter.");
    } else if (action === "help") byId("help-button").click();
    else if (action === "undo") act.undo(looks.pastDecision());
    else if (reason) giveReason(reason, event.key);
    else if (DECIDING.has(action)) decide(action, event.key);
    else looks[action]?.();
  });
}
