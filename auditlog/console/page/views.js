// What is shown of what.
import { Plots } from "./plot.js";
import { Rows, nothing } from "./rows.js";
import { bytes, coarse, duration, number, outOf, time } from "./words.js";

const at = (id) => document.getElementById(id);
const sum = (values) => values.reduce((a, b) => a + b, 0);
const user = (name) => name || "(no user)";
const what = (r) => (r.operation ? r.operation.replace("_", " ") : `${r.method} ${r.path}`) + (r.stream ? ", streamed" : "");

// openTable: now() is the gateway's time, in ms.
export const openTable = (now, cancel) =>
  new Rows(at("open"), (r) => r.key, [
    { label: "Age", text: (r) => coarse((now() - Date.parse(r.since)) / 1000), numeric: true },
    { label: "User", text: (r) => user(r.user) },
    { label: "Model", text: (r) => r.model || nothing },
    { label: "What", text: (r) => what(r) + (r.cancelled ? ", being cancelled" : "") },
    { label: "First chunk", text: (r) => (r.first_chunk ? duration(r.first_chunk) : r.stream ? "waiting" : nothing), numeric: true },
    { label: "Tokens so far", text: (r) => number(r.tokens), numeric: true },
    { label: "From", text: (r) => r.source, tight: true },
    { label: "Request", text: (r) => r.id },
  ], {
    column: "Cancel", label: "Cancel", sure: "Sure?",
    name: (r) => `the request of ${user(r.user)}${r.model ? ` to ${r.model}` : ""}`, run: cancel,
  });

export const zoneTable = () =>
  new Rows(at("zones"), (z) => z.zone, [
    { label: "Zone", text: (z) => z.zone },
    { label: "In flight", text: (z) => outOf(z.in_flight, z.concurrency), numeric: true, state: (z) => (z.concurrency > 0 && z.in_flight >= z.concurrency ? "full" : "") },
    { label: "Waiting", text: (z) => (z.places > 0 || z.waiting > 0 ? outOf(z.waiting, z.places) : "no queue"), numeric: true, state: (z) => (z.waiting > 0 ? "full" : "") },
    { label: "Blocked", text: (z) => number(z.blocked), numeric: true },
    { label: "Clients known", text: (z) => number(z.clients), numeric: true },
    { label: "Rate", text: (z) => (z.rate ? `${z.rate}, ${number(z.burst)} at once` : "any"), numeric: true },
    { label: "In flight, each client", text: (z) => (z.per_client > 0 ? `at most ${number(z.per_client)}` : "any"), numeric: true },
  ]);

const causes = { errors_in_a_row: "errors in a row", errors_in_window: "errors within a time", by_hand: "by hand" };

export const blockTable = (now, unblock) =>
  new Rows(at("blocks"), (b) => `${b.zone} ${b.client}`, [
    { label: "Client", text: (b) => b.client },
    { label: "Zone", text: (b) => b.zone },
    { label: "Why", text: (b) => causes[b.cause] ?? b.cause },
    { label: "Blocked before", text: (b) => (b.repeats === 0 ? "never" : `${number(b.repeats)} times`), numeric: true },
    { label: "Ends in", text: (b) => coarse((Date.parse(b.until) - now()) / 1000), numeric: true },
  ], { column: "Unblock", label: "Unblock", sure: "Sure?", name: (b) => `${b.client} in zone ${b.zone}`, run: unblock });

export const loadedTable = (now) =>
  new Rows(at("loaded"), (m) => m.name, [
    { label: "Model", text: (m) => m.name },
    { label: "Memory", text: (m) => bytes(m.size), numeric: true },
    { label: "On the GPU", text: (m) => (m.size > 0 ? `${bytes(m.size_vram)} (${Math.round((100 * m.size_vram) / m.size)} %)` : nothing), numeric: true },
    { label: "Context", text: (m) => (m.context_length > 0 ? number(m.context_length) : nothing), numeric: true },
    { label: "Leaves in", text: (m) => leaves(m, now()), numeric: true },
  ]);

function leaves(m, now) {
  const left = (Date.parse(m.expires_at) - now) / 1000;
  if (!(left > -1e9) || left > 1e8) return left > 1e8 ? "never" : nothing;
  return coarse(left);
}

export const endedTable = () =>
  new Rows(at("ended"), (r) => r.number, [
    { label: "Came", text: (r) => time(r.since), tight: true },
    { label: "User", text: (r) => user(r.user) },
    { label: "Model", text: (r) => r.model || nothing },
    { label: "What", text: what },
    { label: "Ended", text: (r) => `${r.status} ${r.reason.replace(":", ": ")}`, state: (r) => r.outcome },
    { label: "Took", text: (r) => duration(r.seconds) + (r.queued > 0 ? `, ${duration(r.queued)} of it waiting` : ""), numeric: true },
    { label: "First chunk", text: (r) => (r.first_chunk ? duration(r.first_chunk) : nothing), numeric: true },
    { label: "Tokens in, out", text: (r) => (r.estimated ? `?, about ${number(r.output_tokens)}` : r.operation ? `${number(r.input_tokens)}, ${number(r.output_tokens)}` : nothing), numeric: true },
    { label: "From", text: (r) => r.source, tight: true },
    { label: "Request", text: (r) => r.id },
  ]);

const requests = {
  name: "requests", values: (s) => s.requests, sum: (v) => `${number(sum(v))} req`,
  tell: (v) => `${number(sum(v))} requests, at most ${number(Math.max(...v))} a minute`,
};
const tokens = {
  name: "tokens", values: (s) => s.tokens, sum: (v) => `${number(sum(v))} tok`,
  tell: (v) => `${number(sum(v))} tokens, at most ${number(Math.max(...v))} a minute`,
};
const waits = {
  name: "waits", values: (s) => s.seconds, sum: (v) => duration(Math.max(0, ...v)),
  tell: (v) => `at most ${duration(Math.max(0, ...v))}, ${duration(v.at(-1))} in this minute`,
};

// hourPlots shows what the hour came to.
export function hourPlots() {
  const users = new Plots(at("users"), [requests, tokens], user);
  const models = new Plots(at("models"), [requests, tokens], (name) => name);
  const reasons = new Plots(at("reasons"), [requests], (name) => name.replaceAll("_", " "));
  const first = new Plots(at("waits"), [waits], (name) => name);
  return (hour) => {
    users.show(hour.users);
    models.show(hour.models);
    reasons.show(hour.reasons);
    first.show(hour.first_chunk.longest.some((s) => s > 0)
      ? [{ name: "longest", seconds: hour.first_chunk.longest }, { name: "mean", seconds: hour.first_chunk.mean }] : []);
    at("waits").parentElement.hidden = hour.first_chunk.longest.every((s) => s === 0);
    at("models").parentElement.hidden = hour.models.length === 0;
    at("hour-none").hidden = hour.reasons.length > 0;
    document.querySelector(".groups").hidden = hour.reasons.length === 0;
  };
}
