// Elements and words. Everything from the router becomes a text node or an attribute here, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

// An HTML element. A function among the attributes listens to the event of that name.
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// The same of SVG.
export function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// The element of this id.
export function by(id) {
  return document.getElementById(id);
}

// Writes text, only where it is another one: a reader's selection stays.
export function write(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

// Makes the rows of a table body those of `entries`, keeping the ones that are there: focus and selection stay.
// `make(entry)` gives a row, `renew(row, entry)` writes into it.
export function reconcile(body, entries, key, make, renew) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  let place = body.firstElementChild;
  for (const entry of entries) {
    const name = key(entry);
    let row = known.get(name);
    known.delete(name);
    if (!row) {
      row = make(entry);
      row.dataset.key = name;
    }
    renew(row, entry);
    if (row === place) place = place.nextElementSibling;
    else body.insertBefore(row, place);
  }
  for (const row of known.values()) row.remove();
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

// A count with thousands apart.
export function count(value) {
  return whole.format(value);
}

// A rate: small ones with one digit behind the point.
export function rate(value) {
  return value > 0 && value < 100 ? tenths.format(value) : whole.format(value);
}

// Microseconds, as a number and its unit.
export function micros(us) {
  if (us === null || us === undefined) return ["–", ""];
  if (us < 1000) return [us < 10 ? tenths.format(us) : whole.format(us), "µs"];
  if (us < 1e6) return [us < 1e5 ? tenths.format(us / 1e3) : whole.format(us / 1e3), "ms"];
  return [tenths.format(us / 1e6), "s"];
}

// Bytes, rounded.
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${value < 10 && power > 0 ? tenths.format(value) : whole.format(value)} ${units[power]}`;
}

// Seconds as h:mm:ss, or with days in front.
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d > 0) return `${d} d ${h}:${two(m)}:${two(s % 60)}`;
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

// The time of day of Unix milliseconds, to the second or the millisecond.
export function clock(unixMs, withMs = false) {
  const at = new Date(unixMs);
  const two = (n, width = 2) => String(n).padStart(width, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return withMs ? `${time}.${two(at.getMilliseconds(), 3)}` : time;
}

// A word of state with its dot; the dot's colour says the same once more.
export function state(word, kind) {
  return element("span", { class: "state", "data-kind": kind }, word);
}
