// What most tools do, for comparison: post the decision, wait, put the answer in the card's place.
const KINDS = { a: "accept", s: "skip" };
let isSending = false;
addEventListener("keydown", async (event) => {
  const card = document.getElementById("card");
  const kind = KINDS[event.key];
  if (!kind || !card?.dataset.card || isSending) return;
  isSending = true;
  const body = new FormData(document.getElementById("decide"));
  for (const [name, value] of Object.entries({ slot: card.dataset.slot, proof: card.dataset.proof, client_id: card.dataset.card, kind })) body.set(name, value);
  const answer = await fetch(document.getElementById("decide").action, { method: "POST", body, headers: { "HX-Request": "true" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.querySelector("article");
  next.id = "card";
  card.replaceWith(next);
  isSending = false;
});
