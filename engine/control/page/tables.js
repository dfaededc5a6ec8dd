// The searchable, paged tables of calls and of phones.

import { Refusal, ask, withParameters } from "./api.js";
import { by, clock, duration, element, reconcile, state, write } from "./build.js";

const ROWS = 50;
// A search looks through so many pages of the API before it shows what it has.
const PAGES = 40;
const RENEW_MS = 2000;

const KINDS = {
  trying: "wait", ringing: "wait", answered: "good", ending: "none", reachable: "good", unreachable: "bad",
};

// One list: its filters, its pages and its table.
class Listing {
  constructor(place, words) {
    this.words = words;
    this.place = by(place);
    this.cursors = [""];
    this.next = null;
    this.asked = 0;
    this.renewed = 0;
    this.busy = false;
    this.build(place);
  }

  build(place) {
    const { columns, states, what } = this.words;
    this.user = element("input", {
      type: "search", id: `${place}-user`, maxlength: "128", autocomplete: "off", spellcheck: "false",
      placeholder: this.words.placeholder, input: () => this.search(),
    });
    this.state = element("select", { id: `${place}-state`, change: () => this.search() },
      element("option", { value: "" }, "All"),
      ...states.map((name) => element("option", { value: name }, name)));
    const form = element("form", { class: "filters", role: "search", submit: (event) => event.preventDefault() },
      element("label", { for: this.user.id }, "User"), this.user,
      element("label", { for: this.state.id }, "State"), this.state);
    const head = columns.map(([name, kind]) => element("th", { scope: "col", class: kind }, name));
    this.body = element("tbody");
    this.table = element("table", {},
      element("caption", { class: "unseen" }, what), element("thead", {}, element("tr", {}, ...head)), this.body);
    this.empty = element("p", { class: "empty" }, "Loading");
    this.back = element("button", { type: "button", click: () => this.turn(-1) }, "Back");
    this.on = element("button", { type: "button", click: () => this.turn(1) }, "Next");
    this.page = element("span", { class: "page", role: "status" });
    const pager = element("div", { class: "pager" }, this.page, this.back, this.on);
    this.place.append(form, element("div", { class: "scroll" }, this.table), this.empty, pager);
    this.pager = pager;
  }

  // Begins from the first page, a moment after the last key.
  search() {
    this.cursors = [""];
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.load(), 200);
  }

  turn(by) {
    if (by > 0 && this.next) this.cursors.push(this.next);
    if (by < 0 && this.cursors.length > 1) this.cursors.pop();
    this.load();
  }

  // Loads the page again where it is old.
  async renew(now) {
    if (!this.busy && now - this.renewed >= RENEW_MS) await this.load();
  }

  async load() {
    const asked = ++this.asked;
    this.busy = true;
    try {
      const page = await this.collect(() => asked === this.asked);
      if (asked !== this.asked) return;
      this.next = page.next;
      this.show(page.entries);
    } catch (error) {
      if (asked === this.asked) this.fail(error);
    } finally {
      this.renewed = performance.now();
      if (asked === this.asked) this.busy = false;
    }
  }

  // A page may have fewer entries than wanted, or none, and yet go on.
  async collect(isWanted) {
    const { path, list } = this.words;
    let [entries, next] = [[], this.cursors.at(-1)];
    for (let page = 0; page < PAGES && entries.length < ROWS && next !== null && isWanted(); page += 1) {
      const filters = { user: this.user.value.trim(), state: this.state.value };
      const limit = ROWS - entries.length;
      const body = await ask(withParameters(path, { ...filters, limit, cursor: next }));
      entries = entries.concat(body[list]);
      next = body.next;
    }
    return { entries, next };
  }

  show(entries) {
    const { key, make, renew, rows } = this.words;
    reconcile(this.body, rows(entries), key, make, renew);
    const first = this.cursors.length === 1;
    const sought = this.user.value.trim() || this.state.value;
    this.tell(entries.length ? "" : sought && first ? this.words.none : first ? this.words.nothing : "Nothing more.");
    this.table.hidden = entries.length === 0;
    this.pager.hidden = first && !this.next;
    write(this.page, `Page ${this.cursors.length}`);
    this.back.disabled = first;
    this.on.disabled = !this.next;
  }

  // A search that cannot be is said; that the router is gone, or wants another token, the top of the page says.
  fail(error) {
    if (!(error instanceof Refusal) || error.status === 401) return;
    if (error.status === 400 && this.cursors.length > 1) {
      this.search();
      return;
    }
    reconcile(this.body, [], String);
    this.table.hidden = true;
    this.tell(error.message);
  }

  tell(text) {
    write(this.empty, text);
    this.empty.hidden = text === "";
  }
}

function showState(cell, word) {
  if (cell.textContent !== word) cell.replaceChildren(state(word, KINDS[word] ?? "none"));
}

function callRow(open) {
  return (call) => element("tr", { class: "opens", click: () => open(call.id) },
    element("td"),
    element("td", {}, element("button", {
      type: "button", class: "link", click: (event) => {
        event.stopPropagation();
        open(call.id);
      },
    })),
    element("td"), element("td", { class: "address wide" }), element("td", { class: "address wide" }),
    element("td", { class: "n wide" }), element("td", { class: "n" }));
}

function showCall(row, call) {
  const [how, from, to, caller, callee, began, lasts] = row.children;
  showState(how, call.state);
  write(from.firstChild, call.from || "anonymous");
  from.firstChild.setAttribute("aria-label", `Show the call from ${call.from || "anonymous"} to ${call.to}`);
  write(to, call.to || "–");
  write(caller, call.caller);
  write(callee, call.callee ?? "–");
  write(began, clock(call.began_unix_ms));
  write(lasts, call.answered_unix_ms === null ? "–" : duration((Date.now() - call.answered_unix_ms) / 1000));
}

// The table of calls; `open(id)` shows one.
export function calls(open) {
  return new Listing("calls", {
    what: "Calls in progress", path: "/api/v1/session", list: "sessions",
    placeholder: "caller or number, in full", states: ["trying", "ringing", "answered", "ending"],
    columns: [["State"], ["From"], ["To"], ["Caller", "wide"], ["Callee", "wide"], ["Began", "n wide"], ["Talks", "n"]],
    rows: (sessions) => sessions, key: (call) => call.id, make: callRow(open), renew: showCall,
    nothing: "No calls in progress.", none: "No call in progress matches.",
  });
}

function contactRow() {
  return element("tr", {}, element("td"), element("td"), element("td", { class: "address" }),
    element("td", { class: "address wide" }), element("td", { class: "wide" }), element("td", { class: "n" }));
}

function showContact(row, { phone, contact, first }) {
  const [how, aor, uri, remote, agent, expires] = row.children;
  showState(how, contact.state);
  write(aor, first ? phone.aor : "");
  write(uri, contact.uri);
  write(remote, contact.remote);
  write(agent, contact.agent || "–");
  write(expires, duration((contact.expires_unix_ms - Date.now()) / 1000));
}

// A row for each contact of each user.
function contacts(phones) {
  return phones.flatMap((phone) => phone.contacts.map((contact, place) => ({ phone, contact, first: place === 0 })));
}

// The table of registered users with their contacts.
export function phones() {
  return new Listing("phones", {
    what: "Registered users and their contacts", path: "/api/v1/phone", list: "phones",
    placeholder: "user, in full", states: ["reachable", "unreachable"],
    columns: [["State"], ["Address of record"], ["Contact"], ["Came from", "wide"], ["Agent", "wide"], ["Expires in", "n"]],
    rows: contacts, key: ({ phone, contact, first }) => `${phone.aor} ${contact.uri} ${first}`, make: contactRow, renew: showContact,
    nothing: "Nobody is registered.", none: "No registered user matches.",
  });
}
