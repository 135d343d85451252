// How long the cards are one's own: the clock, more time while somebody works, giving back at the end.
const BEAT_MS = 60_000;
const WARNED_AT_S = 60;
const byId = (id) => document.getElementById(id);

export function startClock({ review, stage, say }) {
  let until = review.dataset.until;
  let isBusy = false;
  let isWarned = false;
  const begin = (seconds) => {
    for (const clock of document.querySelectorAll(".review-card [data-countdown]")) {
      clock.dataset.countdown = seconds;
      delete clock.dataset.since;
    }
    for (const part of document.querySelectorAll(".review-card [data-while-yours]")) part.hidden = false;
    for (const part of document.querySelectorAll(".review-card [data-when-over]")) part.hidden = true;
    isWarned = false;
    tick();
  };
  document.addEventListener("review:until", ({ detail }) => {
    if (until !== detail.until) begin(detail.seconds);
    until = detail.until;
  });
  document.addEventListener("review:card", () => (isWarned = false));
  for (const name of ["keydown", "pointerdown", "wheel", "touchstart"]) addEventListener(name, () => (isBusy = true), { passive: true });

  const tick = () => {
    for (const clock of document.querySelectorAll("[data-countdown]")) {
      clock.dataset.since ??= performance.now();
      const left = Math.max(0, Math.floor(clock.dataset.countdown - (performance.now() - clock.dataset.since) / 1000));
      clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      if (!stage.card?.contains(clock)) continue;
      if (left === 0) endLease(stage.card);
      else if (left <= WARNED_AT_S && !isWarned) warn();
    }
  };
  const warn = () => {
    isWarned = true;
    say("One minute left for this card. “More time” begins it anew; what you decide is kept all the same.");
  };
  const endLease = (card) => {
    const over = card.querySelector("[data-when-over]");
    if (!over.hidden) return;
    card.querySelector("[data-while-yours]").hidden = true;
    over.hidden = false;
    say("Your time with this card is up. A decision still counts, unless somebody else has been given it.");
  };

  const post = (url, values) => {
    const body = new FormData(byId("undo"));
    for (const [name, value] of Object.entries(values)) body.set(name, value);
    return fetch(url, { method: "POST", body, headers: { "HX-Request": "true" }, credentials: "same-origin" });
  };
  const extend = async () => {
    const answer = await post(review.dataset.extend, {}).catch(() => null);
    if (!answer?.ok || !answer.headers.get("Content-Type")?.includes("json")) return false;
    const now = await answer.json();
    until = now.until;
    begin(now.seconds);
    return true;
  };
  const beat = () => {
    if (stage.card && isBusy && !document.hidden) extend();
    isBusy = false;
  };
  document.addEventListener("review:extend", async () => say((await extend()) ? "Your time with this card begins anew." : "The server does not answer."));
  addEventListener("pagehide", () => {
    if (!until) return;
    const body = new FormData(byId("undo"));
    body.set("until", until);
    body.set("waiting", stage.waitingSlots().join(" "));
    navigator.sendBeacon(review.dataset.leave, body);
  });
  setInterval(tick, 1000);
  setInterval(beat, BEAT_MS);
}
