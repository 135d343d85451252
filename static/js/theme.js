// Loaded before the first paint: the chosen theme, if there is one, so that nothing flashes.
"use strict";
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage can be forbidden; then the system's theme it is.
  }
})();
