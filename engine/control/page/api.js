// The way to the API: the token, requests with their refusals, and the stream of events.

const KEY = "tipring-token";
const PATIENCE_MS = 10000;

// The router said no: its problem details (RFC 9457).
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `status ${status}`);
    this.status = status;
    this.reasons = Array.isArray(problem.reasons) ? problem.reasons : [];
  }
}

// The router said nothing at all.
export class Silence extends Error {}

// The token of this tab; empty without one.
export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

export function keepToken(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

function headers(accept) {
  const all = { Accept: accept };
  if (token()) all.Authorization = `Bearer ${token()}`;
  return all;
}

async function send(method, path, accept, signal) {
  let response;
  try {
    response = await fetch(path, { method, headers: headers(accept), signal, cache: "no-store", redirect: "error" });
  } catch (error) {
    throw signal.aborted && signal.reason?.name === "AbortError" ? error : new Silence("no answer");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Refusal(response.status, problem);
}

// Asks for JSON; nothing comes back from a request whose answer has no body.
export async function ask(path, method = "GET", patience = PATIENCE_MS) {
  const response = await send(method, path, "application/json", AbortSignal.timeout(patience));
  if (response.status === 204) return undefined;
  return response.json().catch(() => {
    throw new Silence("an answer that broke off");
  });
}

// A path with these parameters; those without a value are left out.
export function withParameters(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

// Events of these types, one after another, until the router ends the stream or `signal` does. Server-sent events
// by fetch, since EventSource cannot carry a token.
export async function* listen(types, signal) {
  const path = withParameters("/api/v1/events", { type: types.join(",") });
  const response = await send("GET", path, "text/event-stream", signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(block) {
  let name = "message";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data += line.slice(5).trim();
  }
  if (!data) return undefined;
  try {
    return { ...JSON.parse(data), type: name };
  } catch {
    return undefined;
  }
}

// Listens again and again until `signal` ends it. `hear(event)` for each event, `lost(why)` when the stream broke.
export async function follow(types, signal, hear, lost) {
  let pause = 1000;
  while (!signal.aborted) {
    try {
      for await (const event of listen(types, signal)) {
        pause = 1000;
        hear(event);
      }
      lost(undefined);
    } catch (error) {
      if (signal.aborted) return;
      lost(error);
    }
    await wait(pause, signal);
    pause = Math.min(pause * 2, 10000);
  }
}

// So many milliseconds, or until `signal`.
export function wait(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
