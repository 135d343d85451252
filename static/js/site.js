// What scripts add to every page. Without them every page still works.
"use strict";
(() => {
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // --- saying something to screen readers: into the live region that is always there ---
  const say = (text) => {
    const status = document.getElementById("status");
    if (status) status.textContent = text;
  };

  // --- theme: as the system, light, dark ---
  const THEMES = { "": "as the system", light: "light", dark: "dark" };
  const NEXT = { "": "light", light: "dark", dark: "" };
  const root = document.documentElement;
  const showTheme = () => {
    for (const name of $$("[data-theme-name]")) name.textContent = THEMES[root.dataset.theme ?? ""];
  };
  for (const button of $$("[data-theme-toggle]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const theme = NEXT[root.dataset.theme ?? ""];
      if (theme) root.dataset.theme = theme;
      else delete root.dataset.theme;
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Not kept, then.
      }
      showTheme();
      say(`Theme: ${THEMES[theme]}`);
    });
  }
  showTheme();

  // --- messages: can be closed; good news fades unless someone is reading it ---
  const dismiss = (message) => {
    message.classList.add("is-leaving");
    setTimeout(() => message.remove(), 300);
  };
  const equip = (message) => {
    if (message.dataset.equipped) return;
    message.dataset.equipped = "yes";
    const close = document.createElement("button");
    close.type = "button";
    close.className = "message-close";
    close.setAttribute("aria-label", "Close this message");
    close.textContent = "✕";
    close.addEventListener("click", () => dismiss(message));
    message.append(close);
    if (message.dataset.message !== "success") return;
    const fade = () => (message.matches(":hover, :focus-within") ? setTimeout(fade, 3000) : dismiss(message));
    setTimeout(fade, 10000);
  };
  const addMessage = (text, tone) => {
    const message = document.createElement("div");
    message.className = `message tone-${tone}`;
    message.dataset.message = "problem";
    const words = document.createElement("p");
    words.textContent = text;
    message.append(words);
    const messages = document.getElementById("messages");
    for (const old of $$("[data-message=problem]", messages)) old.remove();
    messages.append(message);
    equip(message);
    say(text);
  };
  $$("[data-message]").forEach(equip);

  // --- htmx: what came late is equipped too; what failed is said ---
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    if (event.detail.target?.id !== "messages") return;
    const fresh = $$("[data-message]:not([data-equipped])", event.detail.target);
    fresh.forEach(equip);
    if (fresh.length) say(fresh.map((message) => message.querySelector("p").textContent).join(" "));
  });
  const FAILURES = {
    403: "You do not have the right to do this.",
    404: "This no longer exists. Reload the page.",
    409: "Somebody else was first. Nothing was changed; reload the page.",
  };
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    addMessage(FAILURES[status] ?? `The server could not do this (${status}). Try again.`, "bad");
  });
  document.addEventListener("htmx:sendError", () => addMessage("The server does not answer. Check the connection.", "bad"));

  // --- dialogs: a popover works without scripts, a modal dialog keeps the focus inside ---
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[popovertarget]");
    const dialog = button && document.getElementById(button.getAttribute("popovertarget"));
    if (!(dialog instanceof HTMLDialogElement)) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else dialog.showModal();
  });

  // --- forms that ask first, buttons that copy ---
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
      say("Copied");
      button.dataset.words ??= button.textContent;
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = button.dataset.words), 2000);
    } catch {
      say("The browser does not allow copying here");
    }
  });
})();
