// What a card shows or not, remembered in this browser: marks in its texts, changes of its attempts.

const name = (of) => `review-${of}`;

// Once for each card that comes on screen: its switches stand as they were left.
export function equipSwitches(card) {
  for (const box of card.querySelectorAll("[data-switch]")) {
    try {
      box.checked = localStorage.getItem(name(box.dataset.switch)) !== "off";
    } catch {
      // As the page says, then.
    }
    box.addEventListener("change", () => {
      try {
        localStorage.setItem(name(box.dataset.switch), box.checked ? "on" : "off");
      } catch {
        // Not kept, then.
      }
    });
  }
}

// For a key: "marks" or "diff". What to say, or nothing where the card has no such switch.
export function toggleSwitch(card, of) {
  const box = card.querySelector(`[data-switch="${of}"]`);
  if (!box) return "";
  box.click();
  return `${of === "marks" ? "Marks" : "Changes"} ${box.checked ? "shown" : "hidden"}.`;
}

// For a key: the attempt before this one, shown or folded; false where there is none.
export function toggleParent(card) {
  const before = card.querySelector(".review-lineage details");
  if (!before) return false;
  before.open = !before.open;
  if (before.open) before.scrollIntoView({ block: "nearest" });
  return true;
}
