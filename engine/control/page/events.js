// What goes on, as it happens. Calls and users are listened to only while this list is looked at.

import { Refusal, follow } from "./api.js";
import { by, clock, element, state } from "./build.js";

const GROUPS = {
  Calls: ["call-started", "call-ringing", "call-answered", "call-ended"],
  Users: ["registered", "refreshed", "unregistered", "expired", "reachability"],
  Router: ["peer-up", "peer-down", "reload"],
};
const KINDS = {
  "call-answered": "good", registered: "good", "peer-up": "good", "peer-down": "bad", cut: "bad",
  "call-started": "wait", "call-ringing": "wait",
};
const ROWS = 200;
// A router tells of thousands of calls a second: the list is drawn so often at most.
const DRAW_MS = 250;

let waiting = [];
let drawing = null;
let paused = false;
let ended = null;
const parts = {};

function words(event) {
  switch (event.type) {
    case "call-ended": {
      const how = event.code ? `${event.code}` : "no answer";
      return `${event.from} to ${event.to}: ${how}, cause ${event.cause}, ended by ${event.ended_by}`;
    }
    case "call-started":
    case "call-ringing":
    case "call-answered":
      return `${event.from || "anonymous"} to ${event.to}`;
    case "peer-up":
    case "peer-down":
      return event.address;
    case "reload":
      return `${event.records} records, ${event.peers} peers`;
    case "cut":
      return `${event.missed} events were missed: this page was too slow`;
    default:
      return `${event.aor}, ${event.contacts} contact${event.contacts === 1 ? "" : "s"}`;
  }
}

function row(event) {
  return element("tr", {}, element("td", { class: "n" }, clock(event.seen)),
    element("td", {}, state(event.type.replace("-", " "), KINDS[event.type] ?? "none")),
    element("td", { class: "words" }, words(event)));
}

function draw() {
  drawing = null;
  if (paused) return;
  const fresh = waiting.slice(-ROWS).reverse();
  waiting = [];
  parts.body.prepend(...fresh.map(row));
  while (parts.body.childElementCount > ROWS) parts.body.lastElementChild.remove();
  parts.table.hidden = parts.body.childElementCount === 0;
  if (fresh.length) tell("");
}

// Takes an event over.
function hear(event) {
  waiting.push({ ...event, seen: Date.now() });
  if (waiting.length > ROWS) waiting.shift();
  drawing ??= setTimeout(draw, DRAW_MS);
}

function tell(text) {
  parts.empty.textContent = text;
  parts.empty.hidden = text === "";
}

function wanted() {
  return Object.entries(GROUPS).flatMap(([name, types]) => (parts.groups[name].checked ? types : []));
}

// Listens from now on, to what is ticked.
export function startEvents() {
  stopEvents();
  const types = wanted();
  if (types.length === 0) {
    tell("Nothing is ticked.");
    return;
  }
  ended = new AbortController();
  if (parts.body.childElementCount === 0) tell("Listening. Nothing has happened yet.");
  follow(types, ended.signal, hear, (error) => {
    tell(error instanceof Refusal ? `${error.message}. Trying again.` : "The stream has ended. Trying again.");
  });
}

export function stopEvents() {
  ended?.abort();
  ended = null;
}

// Who looks at another list needs no events.
export function isListening() {
  return ended !== null;
}

function pause(event) {
  paused = !paused;
  event.target.textContent = paused ? "Go on" : "Pause";
  event.target.setAttribute("aria-pressed", String(paused));
  if (!paused) draw();
}

export function buildEvents() {
  parts.groups = {};
  const box = (name) => {
    const input = element("input", { type: "checkbox", checked: true, change: startEvents });
    parts.groups[name] = input;
    return element("label", { class: "tick" }, input, name);
  };
  const head = [["Time", "n"], ["Event"], ["What"]];
  parts.body = element("tbody");
  parts.table = element("table", { hidden: true },
    element("thead", {}, element("tr", {}, ...head.map(([name, kind]) => element("th", { scope: "col", class: kind }, name)))),
    parts.body);
  parts.empty = element("p", { class: "empty" });
  by("events").append(
    element("div", { class: "filters" }, ...Object.keys(GROUPS).map(box),
      element("button", { type: "button", "aria-pressed": "false", click: pause }, "Pause")),
    element("div", { class: "scroll" }, parts.table), parts.empty);
}
