// The forms of tokens: the browser's time zone, models added from a search, no form sent twice. All work without it.
"use strict";

for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;

// Of a form that has a date already, the zone is the one it was written in.
for (const zone of document.querySelectorAll('input[name="time_zone"]')) {
  const date = zone.form.elements.namedItem("expires_on");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own && zone.value === "UTC" && date && date.value === "") zone.value = own;
}

function addModel(button) {
  const list = button.closest("form").elements.namedItem("models");
  const names = list.value.split("\n").map((name) => name.trim()).filter(Boolean);
  const isNew = !names.includes(button.dataset.addModel);
  if (isNew) names.push(button.dataset.addModel);
  list.value = names.join("\n");
  const announcer = document.getElementById("announcer");
  if (announcer) announcer.textContent = `${button.dataset.addModel} ${isNew ? "added" : "is there already"}`;
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-add-model]") : null;
  if (button) addModel(button);
});

// A second click would be answered by another page than the one that shows the key.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-once")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) delete form.dataset.sent;
});
