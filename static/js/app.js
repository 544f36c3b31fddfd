// What every page may use: the theme toggle, copy buttons and times in the reader's own zone.
// Every page works without it.
"use strict";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const COPIED_MS = 2000;
const announced = document.getElementById("announcer");

function pad(number) {
  return String(number).padStart(2, "0");
}

// The same shape as the server's text, so that replacing it moves nothing.
function localText(moment, format) {
  const day = `${moment.getDate()} ${MONTHS[moment.getMonth()]} ${moment.getFullYear()}`;
  if (format === "date") return day;
  const minutes = `${pad(moment.getHours())}:${pad(moment.getMinutes())}`;
  return format === "seconds" ? `${day}, ${minutes}:${pad(moment.getSeconds())}` : `${day}, ${minutes}`;
}

function localise(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const written = element.getAttribute("datetime");
    const moment = new Date(written);
    // A date without a time of day belongs to no zone, and stays as it is.
    if (Number.isNaN(moment.getTime()) || !written.includes("T")) continue;
    element.dataset.local = "";
    element.title = `${moment.toISOString().replace("T", " ").replace(/\.\d+Z$/, "")} UTC`;
    element.textContent = localText(moment, element.dataset.format);
  }
}

function currentTheme() {
  const chosen = document.documentElement.dataset.theme;
  return chosen || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function toggleTheme() {
  const theme = currentTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Without storage the choice lasts for this page.
  }
}

// data-copy="text", or data-copy with data-copy-from="#id", or what stands in the nearest .code or .copy-field.
function textFor(button) {
  if (button.dataset.copy) return button.dataset.copy;
  const source = button.dataset.copyFrom
    ? document.querySelector(button.dataset.copyFrom)
    : button.closest(".code, .copy-field")?.querySelector("pre, input, output, code");
  return source ? (source.value ?? source.textContent).trim() : "";
}

async function write(text) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text);
  // Plain http on another machine has no clipboard API; a selection still copies.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("copying was refused");
}

async function copy(button) {
  let outcome = "copied";
  try {
    await write(textFor(button));
  } catch {
    outcome = "failed";
  }
  button.dataset.state = outcome;
  if (announced) announced.textContent = outcome === "copied" ? "Copied" : "Could not copy; select the text instead";
  setTimeout(() => delete button.dataset.state, COPIED_MS);
}

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  if (event.target.closest("[data-theme-toggle]")) toggleTheme();
  if (event.target.closest("[data-print]")) print();
});
document.addEventListener("htmx:load", (event) => localise(event.target));
localise(document);
