// The numbers at the top: tiles with the last minutes as a line, the shards, the peers.

import { by, bytes, count, duration, element, micros, rate, reconcile, shape, state, write } from "./build.js";

const MINUTES = 5;
const SAMPLES_MAX = MINUTES * 60 * 2;
const WIDTH = 240;
const HEIGHT = 36;
// A rate is shown in the mean of so many samples, so that its digits can be read.
const MEAN_OF = 5;

const tiles = {
  caps: { title: "Calls per second", line: "", format: rate },
  calls: { title: "Calls in progress", line: "", format: count },
  delay: { title: "Set-up delay", line: "p99, ", format: (us) => micros(us).join(" ") },
  users: { title: "Registered users", line: "", format: count },
};

let samples = [];
const parts = {};

function figure(label, unit) {
  const value = element("span", { class: "value" }, "–");
  const node = element("span", { class: "figure" }, value);
  const told = element("span", { class: "unit" }, unit);
  node.append(told);
  if (label) node.prepend(element("span", { class: "label" }, label));
  return { node, value, unit: told };
}

function tile(key, figures) {
  const line = shape("path", { class: "line" });
  const area = shape("path", { class: "area" });
  const graph = shape("svg", {
    class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
  }, area, line);
  const sub = element("p", { class: "sub" });
  const range = element("p", { class: "range", "aria-hidden": "true" });
  const heading = element("h2", {}, tiles[key].title);
  const node = element("article", { class: `panel tile tile-${key}` }, heading,
    element("p", { class: "figures" }, ...figures.map((one) => one.node)), sub, graph, range);
  parts[key] = { figures, sub, graph, line, area, range };
  return node;
}

export function build() {
  by("tiles").append(
    tile("caps", [figure("", "")]),
    tile("calls", [figure("", "")]),
    tile("delay", [figure("p50", ""), figure("p99", ""), figure("p99.9", "")]),
    tile("users", [figure("", "")]),
  );
}

// Takes the last minutes over as the router has them: at the beginning, and after a pause.
export function recall(minutes) {
  samples = minutes.samples.map((one) => ({
    at: one.at_unix_ms, caps: one.calls_per_s, calls: one.calls, delay: one.set_up_p99_us, users: one.registered_users,
  }));
}

// When the last sample was taken, in Unix milliseconds; -Infinity without any.
export function lastSample() {
  return samples.at(-1)?.at ?? -Infinity;
}

// The slowest shard's latency of the set-up: percentiles of several shards cannot be added.
function setUp(stats) {
  const all = stats.latencies.filter((one) => one.metric === "invite_in_to_out");
  const worst = (key) => (all.length ? Math.max(...all.map((one) => one[key])) : null);
  return [worst("p50_us"), worst("p99_us"), worst("p999_us")];
}

function limit(stats, key) {
  return stats.limits.find((one) => one.key === key)?.value;
}

// Takes new numbers over. `now` in Unix milliseconds.
export function show(stats, config, now) {
  const delay = setUp(stats);
  samples.push({
    at: now, caps: stats.total.calls_per_s, calls: stats.total.calls, delay: delay[1], users: stats.registered_users,
  });
  samples = samples.filter((one) => now - one.at <= MINUTES * 60000).slice(-SAMPLES_MAX);
  showTiles(stats, delay, config, now);
  showShards(stats);
  showPeers(stats, config);
  write(by("about"), `${stats.version}, up ${duration(stats.uptime_s)}, ${bytes(stats.resident_bytes)}`);
}

function mean(key) {
  const last = samples.slice(-MEAN_OF);
  return last.reduce((sum, one) => sum + one[key], 0) / last.length;
}

function showTiles(stats, delay, config, now) {
  const { caps, calls, users } = parts;
  write(caps.figures[0].value, rate(mean("caps")));
  write(caps.sub, `${count(stats.total.calls_started)} since the start, ${count(stats.total.calls_failed)} not answered`);
  write(calls.figures[0].value, count(stats.total.calls));
  const most = limit(stats, "limits.calls");
  write(calls.sub, stats.total.overloaded ? "overloaded: new calls are limited" : `of at most ${count(most)}`);
  calls.sub.dataset.kind = stats.total.overloaded ? "bad" : "";
  delay.forEach((us, place) => {
    const [value, unit] = micros(us);
    write(parts.delay.figures[place].value, value);
    write(parts.delay.figures[place].unit, unit);
  });
  const seconds = setting(config, "latency.interval_s");
  const over = seconds ? ` of the last ${seconds} s` : "";
  write(parts.delay.sub, delay[0] === null ? "no call in the last interval" : `INVITE in to out, slowest shard${over}`);
  write(users.figures[0].value, count(stats.registered_users));
  write(users.sub, `${count(stats.directory_users)} in the directory`);
  for (const key of Object.keys(tiles)) draw(key, now);
}

// The line of the last minutes. Samples lie where their time is, so that a pause is a gap.
function draw(key, now) {
  const { line, area, graph, range } = parts[key];
  const known = samples.filter((one) => one[key] !== null);
  const highest = Math.max(...known.map((one) => one[key]), 0);
  const x = (at) => WIDTH - ((now - at) / (MINUTES * 60000)) * WIDTH;
  const y = (value) => HEIGHT - 2 - (highest > 0 ? value / highest : 0) * (HEIGHT - 5);
  const runs = [];
  known.forEach((one, index) => {
    const before = known[index - 1];
    if (!before || one.at - before.at > 15000) runs.push([]);
    runs.at(-1).push(`${x(one.at).toFixed(1)},${y(one[key]).toFixed(1)}`);
  });
  const path = (points) => `M${points.join("L")}`;
  line.setAttribute("d", runs.map((points) => path(points.length > 1 ? points : [points[0], points[0]])).join(""));
  const below = (points) => {
    const [first, last] = [points[0].split(",")[0], points.at(-1).split(",")[0]];
    return `${path(points)}L${last},${HEIGHT}L${first},${HEIGHT}Z`;
  };
  area.setAttribute("d", runs.filter((points) => points.length > 1).map(below).join(""));
  const what = `${tiles[key].line}last ${MINUTES} min`;
  const text = known.length ? `${what}: at most ${tiles[key].format(highest)}` : `${what}: nothing`;
  graph.setAttribute("aria-label", `${tiles[key].title}: ${text}`);
  write(range, text);
}

function shardRow() {
  const meter = element("meter", { min: "0", max: "1000", high: "800", low: "500", optimum: "0" });
  const cells = ["no", "calls", "rate", "datagrams", "again", "dropped"].map((name) => [name, element("td", { class: "n" })]);
  const row = element("tr", {});
  const of = Object.fromEntries(cells);
  of.datagrams.classList.add("wide");
  const percent = element("span", { class: "percent" });
  row.append(of.no, element("td", { class: "load" }, meter, percent), of.calls, of.rate, of.datagrams, of.again, of.dropped);
  row.parts = { ...of, meter, percent };
  return row;
}

function showShards(stats) {
  const entries = stats.shards.map((shard, no) => ({ ...shard, no }));
  reconcile(by("shards"), entries, (shard) => String(shard.no), shardRow, (row, shard) => {
    const { no, meter, percent, calls, rate: caps, datagrams, again, dropped } = row.parts;
    write(no, shard.no);
    meter.value = shard.busy_permille;
    meter.setAttribute("aria-label", `Load of shard ${shard.no}`);
    write(percent, `${Math.round(shard.busy_permille / 10)} %`);
    write(calls, count(shard.calls));
    write(caps, rate(shard.calls_per_s));
    write(datagrams, count(shard.datagrams_per_s));
    write(again, count(shard.retransmissions));
    write(dropped, count(shard.kernel_drops));
    dropped.dataset.kind = shard.kernel_drops > 0 ? "bad" : "";
  });
}

// A key of the configuration in force.
function setting(config, key) {
  return config?.settings.find((one) => one.key === key)?.value;
}

function peersOf(config) {
  const found = new Map();
  for (const { key, value } of config?.settings ?? []) {
    const name = /^peer\[(\d+)\]\.(name|addresses|class)$/.exec(key);
    if (!name || value === null) continue;
    if (!found.has(name[1])) found.set(name[1], {});
    found.get(name[1])[name[2]] = value;
  }
  return [...found.values()].filter((peer) => peer.name);
}

function showPeers(stats, config) {
  const server = setting(config, "application_server.address");
  const peers = peersOf(config).map((peer) => ({
    name: peer.name, address: [].concat(peer.addresses ?? []).join(", "),
    health: `${peer.class ?? "peer"}, not probed`, kind: "none",
  }));
  if (server) {
    const up = stats.total.application_server_up;
    const asked = setting(config, "application_server.keep_alive_s") > 0;
    const health = !asked ? "not probed" : up ? "up" : "down: its calls get 503";
    peers.unshift({ name: "application server", address: server, health, kind: !asked ? "none" : up ? "good" : "bad" });
  }
  const make = () => element("tr", {}, element("td"), element("td", { class: "address" }), element("td"));
  reconcile(by("peers"), peers, (peer) => `${peer.name} ${peer.address}`, make, (row, peer) => {
    const [name, address, health] = row.children;
    write(name, peer.name);
    write(address, peer.address);
    if (health.textContent !== peer.health) health.replaceChildren(state(peer.health, peer.kind));
  });
  by("peers-empty").hidden = peers.length > 0;
  write(by("peers-empty"), config ? "No peers are configured: whoever calls is a phone." : "Waiting for the configuration.");
}
