// How things are written.

const numbers = new Intl.NumberFormat("en");

export const number = (n) => numbers.format(n);

// duration writes seconds as people say them.
export function duration(seconds) {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return coarse(seconds);
}

// coarse is for what counts up or down: whole seconds.
export function coarse(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export const time = (text) => new Date(text).toLocaleTimeString([], { hour12: false });

export function bytes(n) {
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (n < 1000) return `${n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1000;
  }
  return `${n.toFixed(1)} TB`;
}

// plain makes what cannot be seen in a client's text visible, and keeps it in its place.
export const plain = (text) => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\u{FFFD}");

// of how many there may be
export const outOf = (n, most) => (most > 0 ? `${number(n)} of ${number(most)}` : number(n));
