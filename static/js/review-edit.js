// The edit of a card: shown in its place, kept as a draft while it is written, looked at by the rules.
// What is typed is lost by nothing here: where it cannot be saved, it stays and that is said.

const PAUSE = 1500; // ms after the last change
const open = new WeakMap(); // article -> its edit

export const isEditing = (card) => open.has(card);

// Shows the form of the card. `onSave(fields)` is called once the rules' findings have been seen,
// `onLeave()` when it was left with its draft kept. False where the answer has no fields to edit.
export function openEdit(card, { onSave, onLeave }) {
  const form = card.querySelector(".review-edit");
  if (!form) return false;
  if (!isEditing(card)) open.set(card, startEdit(card, form, { onSave, onLeave }));
  form.querySelector("textarea").focus();
  return true;
}

function startEdit(card, form, { onSave, onLeave }) {
  const areas = [...form.querySelectorAll("textarea")];
  const place = form.querySelector(".review-check-place");
  const state = form.querySelector('[data-edit="state"]');
  const ending = new AbortController();
  const on = (target, name, act) => target.addEventListener(name, act, { signal: ending.signal });
  const words = () => JSON.stringify(areas.map((area) => area.value));
  const isChanged = () => areas.some((area) => area.value !== area.dataset.original);
  const say = (text) => (state.textContent = text);
  const clock = (moment) => moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  let kept = words();
  let checked = null; // the words that the check on screen is of
  let seen = null; // the findings that were on screen when Save was pressed
  let timer = 0;
  let sending = null;

  const fit = (area) => {
    if (CSS.supports("field-sizing", "content")) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };

  // One request at a time, and always the newest words last.
  const keep = async (more = {}) => {
    clearTimeout(timer);
    while (sending) await sending;
    if (words() === checked) return true;
    sending = send(more);
    try {
      return await sending;
    } finally {
      sending = null;
    }
  };

  const send = async (more) => {
    const sent = words();
    try {
      const response = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        headers: { "HX-Request": "true", "HX-Target": "edit_check", "HX-Current-URL": location.href },
        ...more,
      });
      if (response.headers.has("HX-Redirect")) return refuse("your login has ended. Log in again in another tab");
      if (![200, 409, 422].includes(response.status)) return refuse(`the server answered ${response.status}`);
      const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
      place.replaceChildren(...parsed.body.childNodes);
    } catch {
      return refuse("the server does not answer");
    }
    const check = place.querySelector(".review-check");
    if (check.dataset.state === "refused") return refuse("see below");
    [kept, checked] = [sent, sent];
    say(check.dataset.state === "saved" ? `Draft saved ${clock(new Date())}` : "Nothing is changed");
    return true;
  };

  const refuse = (why) => {
    say(`Draft not saved: ${why}. Your words are still here.`);
    return false;
  };

  const save = async () => {
    if (!isChanged()) return say("Nothing is changed: accept it as it is, or leave.");
    const isKept = await keep();
    if (ending.signal.aborted) return;
    const codes = isKept ? place.querySelector(".review-check").dataset.codes : `unchecked ${words()}`;
    if (codes && codes !== seen) {
      seen = codes;
      return say(isKept ? "Read what the rules say; press again to save it all the same." : `${state.textContent} Press again to save it unchecked.`);
    }
    const fields = Object.fromEntries(areas.map((area) => [area.name.replace(/^field-/, ""), area.value]));
    close();
    onSave(fields);
  };

  const leave = () => {
    if (words() !== kept) keep({ keepalive: true });
    close();
    onLeave();
  };

  const close = () => {
    clearTimeout(timer);
    ending.abort();
    open.delete(card);
    form.hidden = true;
    card.classList.remove("is-editing");
  };

  on(form, "input", (event) => {
    fit(event.target);
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(keep, PAUSE);
  });
  on(form, "compositionend", () => {
    clearTimeout(timer);
    timer = setTimeout(keep, PAUSE);
  });
  on(form, "submit", (event) => {
    event.preventDefault();
    save();
  });
  on(form, "click", (event) => {
    const act = event.target.closest("[data-edit]")?.dataset.edit;
    if (act === "leave") leave();
    if (act !== "restart") return;
    for (const area of areas) area.value = area.dataset.original;
    areas.forEach(fit);
    areas[0].focus();
    keep();
  });
  // No key of the screen may act from in here, whatever has the focus.
  on(form, "keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing || event.keyCode === 229 || event.repeat) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      save();
    } else if (event.key === "Escape") {
      event.preventDefault();
      leave();
    }
  });
  on(document, "visibilitychange", () => {
    if (document.hidden && words() !== kept) keep({ keepalive: true });
  });

  for (const time of form.querySelectorAll("time[datetime]")) time.textContent = clock(new Date(time.dateTime));
  form.hidden = false;
  card.classList.add("is-editing");
  areas.forEach(fit);
  if (isChanged()) keep();
  return form;
}
