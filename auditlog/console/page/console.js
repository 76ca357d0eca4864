// The page: what the gateway says goes to the tables, what buttons say to the gateway.
import { Link, Refused } from "./link.js";
import { element, write } from "./rows.js";
import { blockTable, endedTable, hourPlots, loadedTable, openTable, zoneTable } from "./views.js";
import { number } from "./words.js";

const at = (id) => document.getElementById(id);
const link = new Link();
const kept = 100; // ended requests

// What was told last. ahead is how much the gateway's clock is ahead of ours, in ms.
const known = { open: [], blocks: [], zones: [], models: [], ended: [], ahead: 0 };
const now = () => Date.now() + known.ahead;

const tell = (text) => write(at("told"), text);

async function order(what, about, done) {
  try {
    await link.order(what, about);
    tell(done);
  } catch (error) {
    tell(`That did not work: ${error.message}.`);
    if (error instanceof Refused && error.status === 401) askForToken(error);
  }
}

const open = openTable(now, (r) => order("cancel", { key: r.key }, `Request ${r.id} is cancelled.`));
const blocks = blockTable(now, (b) => order("unblock", { zone: b.zone, client: b.client }, `${b.client} is not blocked any more.`));
const zones = zoneTable();
const models = loadedTable(now);
const ended = endedTable();
const showHour = hourPlots();

function showTotals() {
  const total = (of) => known.zones.reduce((n, z) => n + z[of], 0);
  const figures = { "In flight": known.inAll ?? 0, Waiting: total("waiting"), Blocked: total("blocked"), "Ended this hour": known.hour ?? 0 };
  for (const [name, value] of Object.entries(figures)) {
    let figure = at("totals").querySelector(`[data-name="${name}"]`);
    if (!figure) {
      figure = element("div", { "data-name": name });
      figure.append(element("dt", { text: name }), element("dd"));
      at("totals").append(figure);
    }
    write(figure.lastChild, number(value));
  }
}

function showMore(id, shown, all) {
  at(id).hidden = shown >= all;
  write(at(id), `${number(shown)} of ${number(all)} are shown.`);
}

const showOpen = () => open.show(known.open);
const showEnded = () => ended.show(known.ended.filter((r) => !at("failed-only").checked || r.outcome !== "success"));

const take = {
  hello(event) {
    known.ahead = Date.parse(event.time) - Date.now();
    known.ended = [];
    state("live", "Live");
  },
  now(event) {
    Object.assign(known, { open: event.open, inAll: event.in_all, zones: event.zones });
    showOpen();
    showMore("open-more", event.open.length, event.in_all);
    zones.show(event.zones);
    showTotals();
    at("ollama").hidden = !event.ollama;
    if (event.ollama) {
      known.models = event.ollama.models ?? [];
      models.show(known.models);
      write(at("loaded-none"), event.ollama.fault || (event.ollama.known ? "No model is loaded." : "Asking…"));
    }
  },
  blocks(event) {
    known.blocks = event.blocks;
    blocks.show(known.blocks);
    showMore("blocks-more", event.blocks.length, event.in_all);
  },
  hour(event) {
    known.hour = event.reasons.reduce((n, s) => n + s.requests.reduce((a, b) => a + b, 0), 0);
    showHour(event);
    showTotals();
  },
  ended(event) {
    known.ended = [...event.reverse(), ...known.ended].slice(0, kept);
    showEnded();
  },
};

function state(name, text) {
  if (at("link").dataset.state === name) return;
  at("link").dataset.state = name;
  write(at("link"), text);
}

let asked = null; // resolved with the next token

function askForToken(error) {
  write(at("ask-why"), `The gateway does not show this to everybody: ${error.message}. If it takes tokens, give one that may look here.`);
  if (!at("ask").open) at("ask").showModal();
}

at("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  link.use(at("ask-token").value.trim());
  at("ask-token").value = "";
  at("ask").close();
});
at("ask").addEventListener("close", () => asked?.());
at("failed-only").addEventListener("change", showEnded);

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function stay() {
  for (let pause = 1000; ; ) {
    const began = Date.now();
    try {
      await link.listen((name, event) => take[name]?.(event));
    } catch (error) {
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        state("refused", "Not let in");
        const token = new Promise((resolve) => (asked = resolve));
        askForToken(error);
        await token;
        continue;
      }
    }
    if (Date.now() - began > 10000) pause = 1000;
    state("lost", "Not connected. Trying again…");
    await wait(pause);
    pause = Math.min(pause * 2, 15000);
  }
}

// What counts time goes on between what the gateway says.
setInterval(() => {
  if (document.hidden) return;
  showOpen();
  blocks.show(known.blocks);
  models.show(known.models);
}, 1000);

showTotals();
stay();
