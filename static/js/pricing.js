// Estimates: a pasted text is counted here, and never sent. All else of these pages works without it.
"use strict";

const BYTES_PER_TOKEN = 4;
const COUNT_AFTER_MS = 200;
let counting = 0;

function show(root) {
  for (const element of root.querySelectorAll(".needs-script")) element.hidden = false;
}

function fill(name, count) {
  const field = document.getElementById(name);
  if (!field) return false;
  field.value = String(count);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

// Exactly, as the price is for them: what takes two places in a string is one character.
function charactersIn(text) {
  let characters = 0;
  for (const _ of text) characters += 1;
  return characters;
}

// The rule for tokens stands beside the field, in words.
function count(area) {
  const bytes = new TextEncoder().encode(area.value).length;
  const tokens = Math.ceil(bytes / BYTES_PER_TOKEN);
  const characters = charactersIn(area.value);
  const counted = [];
  if (fill("input_tokens", tokens)) {
    counted.push(`about ${tokens.toLocaleString("en")} tokens: ${bytes.toLocaleString("en")} bytes divided by four`);
  }
  if (fill("characters", characters)) counted.push(`${characters.toLocaleString("en")} characters`);
  const said = document.getElementById("counted");
  if (said) said.textContent = counted.join(", ");
}

document.addEventListener("input", (event) => {
  if (!(event.target instanceof Element) || !event.target.matches("[data-count]")) return;
  event.stopPropagation();
  clearTimeout(counting);
  counting = setTimeout(count, COUNT_AFTER_MS, event.target);
}, { capture: true });

// Errors come beside fields that stay as they are, so what the field says of itself has to follow.
document.addEventListener("htmx:afterSettle", () => {
  for (const error of document.querySelectorAll(".error[id^='error-']")) {
    const field = document.querySelector(`[aria-describedby~="${error.id}"]`);
    if (field) field.toggleAttribute("aria-invalid", false);
    if (field && error.textContent) field.setAttribute("aria-invalid", "true");
  }
});
// Another model brings other fields; a text that stands there is counted for them.
document.addEventListener("htmx:load", (event) => {
  show(event.target);
  const area = event.target.querySelector("details[open] [data-count]");
  if (area && area.value) count(area);
});
show(document);
