// The list of calls: those that arrive while one looks at it, and times that exclude each other. It works without.
"use strict";

const POLL_MS = 2000;
const ANNOUNCED_MS = 10000;
const MARKED_MS = 4000;
// How far back calls are known again: more than the newest page, which is what is asked for.
const KNOWN = 60;
const MOST_ROWS = 500;
// As many as the site tells of at a time: between these and what is shown there may be more.
const MOST_ARRIVED = 50;
const SEEN_DIGITS = 12;

const RUNNING = "Live: new calls show up by themselves.";
const FULL = "Stopped: more calls came in than are shown here.";

const live = document.querySelector("[data-live]");
const arrivals = document.getElementById("arrivals");
const list = document.getElementById("calls");

function rowsOf(element) {
  return [...element.querySelectorAll("[data-call-id]")];
}

function say(state, text) {
  if (live.dataset.live === "full" || live.dataset.live === state) return;
  live.dataset.live = state;
  live.querySelector("[data-live-state]").textContent = text;
}

// Rows and totals stay as they are, until who looks asks for the newest.
function stop() {
  say("full", FULL);
  clearTimeout(telling);
  for (const link of document.querySelectorAll("[data-live-start]")) link.hidden = false;
  for (const link of document.querySelectorAll("[data-live-stop]")) link.hidden = true;
}

// Not each call by itself, which would talk over everything else and sum everything up again.
let untold = 0;
let telling = 0;
function announce(count) {
  untold += count;
  if (telling) return;
  telling = setTimeout(() => {
    telling = 0;
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = untold === 1 ? "1 new call" : `${untold} new calls`;
    untold = 0;
    const totals = document.querySelector(".totals");
    if (totals) htmx.ajax("GET", arrivals.getAttribute("hx-get"), { target: totals, swap: "outerHTML" });
  }, ANNOUNCED_MS);
}

// The row that somebody reads: an open one, or the first in sight where the page was scrolled.
function read() {
  const open = list.querySelector("details[open]");
  if (open) return open;
  if (scrollY === 0) return null;
  return rowsOf(list).find((row) => row.getBoundingClientRect().bottom > 0) ?? null;
}

// Ids are times, and sort as text. A call that took long comes later than some that began after it.
function place(row, shown) {
  const older = shown.find((other) => other.dataset.callId < row.dataset.callId);
  if (older) older.before(row);
  else list.append(row);
}

function settle() {
  const known = new Set(rowsOf(list).map((row) => row.dataset.callId));
  const fresh = rowsOf(arrivals).filter((row) => !known.has(row.dataset.callId));
  if (fresh.length >= MOST_ARRIVED) {
    arrivals.replaceChildren();
    return stop();
  }
  const kept = read();
  const before = kept?.getBoundingClientRect().top;
  list.dataset.moving = "";
  for (const row of fresh) {
    row.classList.add("arrived");
    place(row, rowsOf(list));
    setTimeout(() => row.classList.remove("arrived"), MARKED_MS);
  }
  arrivals.replaceChildren();
  if (kept) scrollBy({ top: kept.getBoundingClientRect().top - before, behavior: "instant" });
  delete list.dataset.moving;
  if (fresh.length) announce(fresh.length);
}

function poll() {
  if (live.dataset.live === "full") return;
  if (document.hidden) return say("hidden", "Paused while this page is hidden.");
  if (list && rowsOf(list).length >= MOST_ROWS) return stop();
  if (live.dataset.live === "hidden") say("running", RUNNING);
  htmx.trigger(arrivals, "poll");
}

if (live && arrivals) {
  say("running", RUNNING);
  setInterval(poll, POLL_MS);
  document.addEventListener("visibilitychange", poll);
  arrivals.addEventListener("htmx:configRequest", (event) => {
    const newest = list ? rowsOf(list).slice(0, KNOWN) : [];
    event.detail.parameters.seen = newest.map((row) => row.dataset.callId.slice(-SEEN_DIGITS)).join(",");
  });
  arrivals.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) say("running", RUNNING);
    else say("failed", "Paused: the site does not answer. Trying again.");
  });
  arrivals.addEventListener("htmx:afterSettle", (event) => {
    if (event.target !== arrivals || !rowsOf(arrivals).length) return;
    // The first calls of all, or of this filter: the page has no list to put them in.
    if (list) settle();
    else location.reload();
  });
}

// Either a time or days.
for (const form of document.querySelectorAll("form.filters")) {
  const [preset, from, to] = ["preset", "from", "to"].map((name) => form.elements.namedItem(name));
  preset?.addEventListener("change", () => {
    if (preset.value) from.value = to.value = "";
  });
  for (const day of [from, to]) day?.addEventListener("change", () => (preset.value = ""));
}
