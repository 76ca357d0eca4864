// The way to the gateway. The token, if one is needed, is here and nowhere else.

const headers = { "X-Gateway-Console": "1" };
const patience = 40000; // ms without a sign of life: those come every 15 s

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function refusal(response) {
  let message = "";
  try {
    message = (await response.json()).error.message;
  } catch {
    // it has no text, or not ours
  }
  return new Refused(response.status, message || `the gateway answers ${response.status}`);
}

export class Link {
  use(token) {
    if (token) headers.Authorization = `Bearer ${token}`;
    else delete headers.Authorization;
  }

  // order does what a button says.
  async order(what, about) {
    const response = await fetch(what, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify(about),
      cache: "no-store",
    });
    if (!response.ok) throw await refusal(response);
  }

  // listen calls take for each event until the stream ends.
  async listen(take) {
    const stop = new AbortController();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), patience);
    };
    alive();
    try {
      const response = await fetch("events", { headers, cache: "no-store", signal: stop.signal });
      if (!response.ok) throw await refusal(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) return;
        alive();
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const text of events) {
          const found = /^event: (\w+)\ndata: (.*)$/.exec(text);
          if (found) take(found[1], JSON.parse(found[2]));
        }
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
