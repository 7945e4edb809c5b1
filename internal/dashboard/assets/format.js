// Numbers and times as people read them.

const numbers = new Intl.NumberFormat("en");

export const grouped = (n) => numbers.format(n);

/** short writes a large number in three or four characters. */
export function short(n) {
  if (n < 1e4) return grouped(n);
  if (n < 1e6) return `${(n / 1e3).toFixed(0)}k`;
  if (n < 1e9) return `${(n / 1e6).toFixed(1)}M`;
  return `${(n / 1e9).toFixed(1)}G`;
}

/** power writes a power of ten in at most four characters. */
export function power(exponent) {
  const units = ["", "k", "M", "G", "T"];
  return `${10 ** (exponent % 3)}${units[Math.floor(exponent / 3)] ?? "?"}`;
}

/** span writes a number of seconds as precisely as people want it. */
export function span(seconds) {
  const s = Math.max(0, seconds);
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (s > 0 && s < 0.1) return `${Math.ceil(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${s.toFixed(0)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${two((s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** time is the time of day, with the day unless that is today. */
export function time(date, now) {
  const text = clock.format(date);
  return date.toDateString() === now.toDateString() ? text : `${day.format(date)}, ${text}`;
}
