// Notes each key with the card that it met, and how long the next card took to be painted.
window.pressed = [];
window.painted = [];
let asked = null;
const shown = () => document.getElementById("card")?.dataset.slot ?? null;
addEventListener("keydown", (event) => {
  window.pressed.push({ key: event.key, slot: shown() });
  asked = { at: event.timeStamp, slot: shown() };
}, true);
const afterPaint = (act) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = act;
  channel.port2.postMessage("");
});
const look = () => {
  if (!asked || shown() === asked.slot || shown() === null) return;
  const { at } = asked;
  asked = null;
  afterPaint(() => window.painted.push(performance.now() - at));
};
addEventListener("DOMContentLoaded", () => new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["id"] }));
