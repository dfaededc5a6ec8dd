// The ladder diagram of a call: its messages between caller, router and callee, in the order they passed.

import { clock, element, shape } from "./build.js";

const NARROW = 480;
const HEAD = 44;
const STEP = 28;
// A silence this long is drawn as a break.
const BREAK_MS = 2000;
// The API keeps the first 8 and the last 24 messages of a call.
const KEPT_FIRST = 8;
const KEPT = 32;

function kindOf(message) {
  if (message.code === null) return "request";
  if (message.code < 200) return "provisional";
  return message.code < 300 ? "success" : "failure";
}

export function nameOf(message) {
  const name = message.code === null ? message.method : `${message.code} ${message.method}`;
  return message.with_body ? `${name} +body` : name;
}

// Who sends a message, and to whom.
function ends(message) {
  const peer = message.leg;
  return message.direction === "in" ? [peer, "tipring"] : ["tipring", peer];
}

function offset(ms) {
  return ms < 10000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function cut(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function lifelines(call, width) {
  const left = width < NARROW ? 44 : 62;
  const lines = [["caller", "Caller", call.caller], ["tipring", "tipring", ""]];
  if (call.legs.length > 1 || call.timeline.some((one) => one.leg === "callee")) {
    lines.push(["callee", "Callee", call.callee ?? ""]);
  }
  const edge = width < NARROW ? 44 : 70;
  const step = (width - left - 2 * edge) / (lines.length - 1);
  return lines.map(([key, title, address], place) => ({ key, title, address, x: left + edge + step * place }));
}

function arrow(message, from, to, y) {
  const ahead = to > from ? 1 : -1;
  const tip = `M${to},${y}l${-7 * ahead},-4v8z`;
  return shape("g", { class: "message", "data-kind": kindOf(message) },
    shape("line", { x1: from, x2: to - 5 * ahead, y1: y, y2: y }),
    shape("path", { d: tip }),
    shape("text", { x: (from + to) / 2, y: y - 5, "text-anchor": "middle" }, nameOf(message)));
}

function rows(timeline) {
  const found = [];
  timeline.forEach((message, place) => {
    const before = timeline[place - 1];
    const gap = before ? message.at_unix_ms - before.at_unix_ms : 0;
    const left_out = place === KEPT_FIRST && timeline.length >= KEPT;
    if (left_out) found.push({ words: "messages in the middle may be left out" });
    else if (gap >= BREAK_MS) found.push({ words: `${(gap / 1000).toFixed(1)} s later` });
    found.push({ message });
  });
  return found;
}

// The diagram, `width` CSS pixels wide.
export function ladder(call, width) {
  const lines = lifelines(call, width);
  const all = rows(call.timeline);
  const height = HEAD + STEP * all.length + 14;
  const x = Object.fromEntries(lines.map((line) => [line.key, line.x]));
  const begin = call.timeline[0]?.at_unix_ms ?? 0;
  const most = Math.floor((lines[1].x - lines[0].x) / 5.9);
  const node = shape("svg", {
    class: width < NARROW ? "ladder narrow" : "ladder", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Ladder diagram of ${call.timeline.length} messages; the table below has the same`,
  });
  for (const line of lines) {
    node.append(
      shape("text", { class: "who", x: line.x, y: 14, "text-anchor": "middle" }, line.title),
      shape("text", { class: "where", x: line.x, y: 29, "text-anchor": "middle" }, cut(line.address, most),
        shape("title", {}, line.address)),
      shape("line", { class: "life", x1: line.x, x2: line.x, y1: HEAD - 8, y2: height }));
  }
  all.forEach(({ message, words }, place) => {
    const y = HEAD + STEP * place + 18;
    if (words) {
      node.append(shape("text", { class: "break", x: (lines[0].x + lines.at(-1).x) / 2, y, "text-anchor": "middle" }, words));
      return;
    }
    const [from, to] = ends(message);
    node.append(
      shape("text", { class: "when", x: width < NARROW ? 38 : 50, y: y + 4, "text-anchor": "end" }, offset(message.at_unix_ms - begin)),
      arrow(message, x[from], x[to], y));
  });
  return node;
}

// The same as a table, for who cannot see the diagram or wants to copy it.
export function messages(call) {
  const row = (message) => {
    const [from, to] = ends(message);
    return element("tr", {}, element("td", { class: "n" }, clock(message.at_unix_ms, true)),
      element("td", {}, from), element("td", {}, to), element("td", {}, nameOf(message)));
  };
  const head = ["Time", "From", "To", "Message"].map((name) => element("th", { scope: "col" }, name));
  return element("table", {},
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...call.timeline.map(row)));
}
