// One call in full: what is known of it, its ladder, and the button that ends it.

import { Refusal, ask } from "./api.js";
import { by, clock, count, duration, element, write } from "./build.js";
import { ladder, messages } from "./ladder.js";

const RENEW_MS = 1000;
// How long the second press that hangs up is waited for.
const SURE_MS = 4000;

let open = null;

function row(name, ...value) {
  return [element("dt", {}, name), element("dd", {}, ...value)];
}

function facts(call) {
  const began = clock(call.began_unix_ms, true);
  const answered = call.answered_unix_ms === null ? "not yet" : clock(call.answered_unix_ms, true);
  return element("dl", { class: "facts" },
    ...row("Route", call.route || "–"), ...row("Why", call.why || "–"),
    ...row("Began", began), ...row("Answered", answered), ...row("Id", element("code", {}, call.id)));
}

function leg(one, place) {
  const title = place === 0 ? "Caller's leg" : "Callee's leg";
  const code = (text) => element("code", {}, text || "–");
  return element("section", { class: "leg" }, element("h3", {}, title),
    element("dl", { class: "facts" },
      ...row("Call-ID", code(one.call_id)), ...row("Sent to", code(one.remote)),
      ...row("Contact", code(one.remote_target)),
      ...row("Tags", code(`${one.local_tag} / ${one.remote_tag || "none yet"}`)),
      ...row("Session", one.session || "none")));
}

function streams(call) {
  if (!call.streams.length) return element("p", { class: "hint" }, "Its media does not go through the router.");
  const both = (pair, show = count) => pair.map(show).join(" / ");
  const ms = (us) => (us / 1000).toFixed(1);
  const of = (one) => element("tr", {}, element("td", { class: "n" }, String(one.line)),
    ...[both(one.packets), both(one.octets), both(one.lost), both(one.jitter_us, ms)]
      .map((text) => element("td", { class: "n" }, text)));
  const head = ["Line", "Packets", "Octets", "Lost", "Jitter, ms"];
  return element("div", { class: "scroll" }, element("table", {},
    element("caption", {}, "Media through the router, from caller / from callee"),
    element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col", class: "n" }, name)))),
    element("tbody", {}, ...call.streams.map(of))));
}

function build() {
  const body = by("call-body");
  const parts = {
    facts: element("div"), ladder: element("div", { class: "ladder-box" }),
    legs: element("div", { class: "legs" }), streams: element("div"), messages: element("div", { class: "scroll" }),
  };
  const table = element("details", {}, element("summary", {}, "Messages as a table"), parts.messages);
  body.replaceChildren(parts.facts, parts.ladder, table, parts.legs, parts.streams);
  return parts;
}

function show(call) {
  write(by("call-title"), `${call.from || "anonymous"} to ${call.to || "–"}`);
  const lasts = call.answered_unix_ms === null ? "" : ` for ${duration((Date.now() - call.answered_unix_ms) / 1000)}`;
  tell(`${call.state}${lasts}`, call.state === "answered" ? "good" : "wait");
  // What has not changed is left alone: a selection stays.
  renew("facts", [call.route, call.why, call.answered_unix_ms], () => [facts(call)]);
  renew("ladder", [call.timeline, width()], () => [ladder(call, width())]);
  renew("messages", call.timeline, () => [messages(call)]);
  renew("legs", call.legs, () => call.legs.map(leg));
  renew("streams", call.streams, () => [streams(call)]);
}

function renew(part, value, make) {
  const text = JSON.stringify(value);
  if (open.shown[part] === text) return;
  open.shown[part] = text;
  open.parts[part].replaceChildren(...make());
}

function width() {
  return Math.max(280, Math.min(820, Math.floor(open.parts.ladder.clientWidth)));
}

function tell(text, kind) {
  write(by("call-state"), text);
  by("call-state").dataset.kind = kind;
}

async function load() {
  const asked = open;
  try {
    const call = await ask(`/api/v1/session/${encodeURIComponent(asked.id)}`);
    if (asked !== open) return;
    open.call = call;
    show(call);
  } catch (error) {
    if (asked !== open) return;
    if (error instanceof Refusal && error.status === 404) end();
    else if (error instanceof Refusal) tell(error.message, "bad");
    else tell("No answer from the router. Trying again.", "bad");
  }
  if (asked === open && !open.ended) open.timer = setTimeout(load, RENEW_MS);
}

function end() {
  open.ended = true;
  tell(open.call ? "This call has ended. What is shown was so a moment before." : "There is no such call any more.", "none");
  by("hang-up").hidden = true;
}

// Shows a call; `mayHangUp`: the token's role allows it.
export function openCall(id, mayHangUp) {
  closeCall();
  open = { id, parts: build(), shown: {}, call: null, ended: false };
  write(by("call-title"), "Call");
  tell("Loading", "none");
  by("hang-up").hidden = !mayHangUp;
  calm();
  by("call").showModal();
  by("call-title").focus();
  load();
}

function closeCall() {
  if (open) clearTimeout(open.timer);
  open = null;
  if (by("call").open) by("call").close();
}

function calm() {
  clearTimeout(by("hang-up").timer);
  by("hang-up").dataset.sure = "";
  write(by("hang-up"), "Hang up");
}

// The first press asks, the second one hangs up.
async function hangUp() {
  const button = by("hang-up");
  if (!button.dataset.sure) {
    button.dataset.sure = "asked";
    write(button, "Hang up now?");
    button.timer = setTimeout(calm, SURE_MS);
    return;
  }
  calm();
  const asked = open;
  try {
    await ask(`/api/v1/session/${encodeURIComponent(asked.id)}`, "DELETE");
    if (asked === open) tell("Hanging up", "wait");
  } catch (error) {
    if (asked === open) tell(error.message, "bad");
  }
}

export function buildCall() {
  by("call-close").addEventListener("click", closeCall);
  by("call").addEventListener("close", closeCall);
  by("call").addEventListener("click", (event) => {
    if (event.target === by("call")) closeCall();
  });
  by("hang-up").addEventListener("click", hangUp);
  window.addEventListener("resize", () => {
    if (open?.call) show(open.call);
  });
}

export { closeCall };
