// The page as a whole: who is signed in, whether the router answers, and which list is looked at.

import { Refusal, Silence, ask, follow, keepToken, token, wait } from "./api.js";
import { by, element, write } from "./build.js";
import { buildCall, closeCall, openCall } from "./call.js";
import { buildEvents, isListening, startEvents, stopEvents } from "./events.js";
import { build as buildNumbers, lastSample, recall, show } from "./numbers.js";
import { calls, phones } from "./tables.js";

const RENEW_MS = 1000;
const PAUSE_MAX_MS = 10000;
const CONFIG_MS = 30000;
// After such a pause the router is asked what was in it.
const GAP_MS = 3000;
const RELOAD_MS = 25000;
const THEME = "tipring-theme";
const TABS = ["calls", "phones", "events"];

// What is known of the router and of who looks at it. `session` ends with a sign-in or sign-out.
const known = { me: null, config: null, configAt: 0, session: null };
let lists = {};
let tab = "calls";

function connection(text, kind) {
  write(by("connection"), text);
  by("connection").dataset.state = kind;
  by("board").classList.toggle("stale", kind !== "live");
}

function notice(text, kind, reasons = []) {
  const list = reasons.length ? element("ul", {}, ...reasons.map((reason) => element("li", {}, reason))) : null;
  by("notice-text").replaceChildren(element("p", {}, text), ...(list ? [list] : []));
  by("notice").dataset.kind = kind;
  by("notice").hidden = false;
}

function mayOperate() {
  return known.me !== null && known.me.role !== "read";
}

function askForToken(why) {
  known.session?.abort();
  known.me = null;
  stopEvents();
  closeCall();
  keepToken("");
  by("board").hidden = true;
  by("reload").hidden = true;
  by("sign-out").hidden = true;
  by("sign-in").hidden = false;
  write(by("sign-in-why"), why);
  write(by("about"), "");
  connection("Signed out", "waiting");
  by("token").focus();
}

function letIn(me) {
  known.me = me;
  by("sign-in").hidden = true;
  by("board").hidden = false;
  by("reload").hidden = !mayOperate();
  by("sign-out").hidden = me.open;
  by("sign-out").title = `The role of your token is ${me.role}`;
  pick(tab);
}

// Asks for everything that is shown, once.
async function look() {
  if (!known.me) letIn(await ask("/api/v1/me"));
  if (!known.config || performance.now() - known.configAt > CONFIG_MS) {
    known.config = await ask("/api/v1/config");
    known.configAt = performance.now();
  }
  const stats = await ask("/api/v1/stats");
  const now = stats.now_unix_ms;
  if (now - lastSample() > GAP_MS || now < lastSample()) recall(await ask("/api/v1/history"));
  show(stats, known.config, now);
  connection("Live", "live");
  const list = lists[tab];
  if (list) await list.renew(performance.now());
}

// Looks again and again until the session ends.
async function run() {
  known.session?.abort();
  const session = new AbortController();
  known.session = session;
  listenToRouter(session.signal);
  let failures = 0;
  while (!session.signal.aborted) {
    try {
      await look();
      failures = 0;
      await wait(RENEW_MS, session.signal);
    } catch (error) {
      if (session.signal.aborted) return;
      if (!(error instanceof Refusal) && !(error instanceof Silence)) console.error(error);
      if (error instanceof Refusal && error.status === 401) {
        askForToken(token() ? "The router does not take this token." : "The API of this router asks for a token.");
        return;
      }
      failures += 1;
      await bear(error, failures, session.signal);
    }
  }
}

// Says what is wrong and waits, longer each time.
async function bear(error, failures, signal) {
  const pause = Math.min(500 * 2 ** failures, PAUSE_MAX_MS);
  const why = error instanceof Refusal ? `The router says: ${error.message}` : "No answer from the router";
  for (let left = Math.round(pause / 1000); left > 0 && !signal.aborted; left -= 1) {
    connection(`${why}. Reconnecting in ${left} s`, "gone");
    await wait(1000, signal);
  }
  // A router that comes back may have another configuration.
  known.configAt = -CONFIG_MS;
}

// A reload by anybody changes what is shown of the configuration.
function listenToRouter(signal) {
  const hear = () => {
    known.configAt = -CONFIG_MS;
  };
  follow(["peer-up", "peer-down", "reload"], signal, hear, () => {});
}

async function reload() {
  by("reload").disabled = true;
  try {
    const told = await ask("/api/v1/config", "PATCH", RELOAD_MS);
    known.configAt = -CONFIG_MS;
    const restart = told.needs_restart.map((name) => `[${name}] has changed and takes effect at the next start`);
    notice(`The configuration was read again: ${told.records} records of the routing DB, ${told.peers} peers.`, "good", restart);
  } catch (error) {
    const why = error instanceof Refusal ? error.message : "no answer from the router";
    notice(`Not reloaded: ${why}`, "bad", error.reasons);
  } finally {
    by("reload").disabled = false;
  }
}

// Shows one of the lists.
function pick(name) {
  tab = name;
  for (const one of TABS) {
    const button = by(`tab-${one}`);
    button.setAttribute("aria-selected", String(one === name));
    button.tabIndex = one === name ? 0 : -1;
    by(one).hidden = one !== name;
  }
  if (name !== "events") stopEvents();
  else if (!isListening() && known.me) startEvents();
  if (known.me) lists[name]?.load();
}

// Arrow keys move between tabs, as their pattern has it (WAI-ARIA: tabs).
function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const place = TABS.indexOf(tab);
  const next = { Home: 0, End: TABS.length - 1 }[event.key] ?? (step && (place + step + TABS.length) % TABS.length);
  if (next === undefined) return;
  event.preventDefault();
  pick(TABS[next]);
  by(`tab-${TABS[next]}`).focus();
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  by("theme").value = name;
}

function build() {
  theme(localStorage.getItem(THEME) ?? "");
  by("theme").addEventListener("change", () => {
    localStorage.setItem(THEME, by("theme").value);
    theme(by("theme").value);
  });
  buildNumbers();
  buildEvents();
  buildCall();
  lists = { calls: calls((id) => openCall(id, mayOperate())), phones: phones() };
  for (const name of TABS) {
    by(`tab-${name}`).addEventListener("click", () => pick(name));
    by(`tab-${name}`).addEventListener("keydown", moveTab);
  }
  by("reload").addEventListener("click", reload);
  by("sign-out").addEventListener("click", () => askForToken("You have signed out."));
  by("notice-close").addEventListener("click", () => {
    by("notice").hidden = true;
  });
  by("sign-in-form").addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(by("token").value.trim());
    by("token").value = "";
    connection("Connecting", "waiting");
    run();
  });
}

build();
run();
