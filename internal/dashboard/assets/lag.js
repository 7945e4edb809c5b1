// The lag of a release's versions over time. It holds its value until the next
// one is told, so it is drawn in steps; the scale is logarithmic, because a
// candidate begins millions of events behind and the live version is at 0 or 1.

import { h } from "./dom.js";
import { grouped, power, span, time } from "./format.js";

const height = 168;
const edge = { top: 10, right: 10, bottom: 24, left: 44 };
const longest = 3600 * 1000;
const shortest = 60 * 1000;

export function lagChart(release, samples, now, width) {
  const lines = release.versions.map((v) => ({ v, samples: samples.filter((s) => s.version === v.version) })).filter((line) => line.samples.length > 0);
  if (lines.length === 0) return h("p", { class: "quiet" }, "No version follows the log yet.");
  const first = Math.min(...lines.map((line) => Date.parse(line.samples[0].at)));
  const from = Math.max(now - longest, Math.min(first, now - shortest));
  const scale = {
    x: (at) => edge.left + ((Math.max(at, from) - from) / (now - from)) * (width - edge.left - edge.right),
    y: (lag) => height - edge.bottom - (level(lag) / top) * (height - edge.top - edge.bottom),
  };
  const peak = Math.max(9, ...lines.flatMap((line) => line.samples.map((s) => s.lag)));
  const top = Math.ceil(level(peak));
  return h("figure", null,
    h("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": spoken(lines) },
      grid(top, scale, width),
      h("text", { class: "tick", x: edge.left, y: height - 6 }, time(new Date(from), now)),
      h("text", { class: "tick end", x: width - edge.right, y: height - 6 }, "now"),
      lines.map((line) => h("path", { class: `line ${line.v.role.toLowerCase()}`, d: steps(line.samples, scale, now) }))),
    h("figcaption", null, lines.map((line) => h("span", { class: `key ${line.v.role.toLowerCase()}` }, `${line.v.version}: ${grouped(line.samples.at(-1).lag)}`)),
      h("span", { class: "note" }, `events to apply, in the last ${span((now - from) / 1000)}`)));
}

const level = (lag) => Math.log10(1 + lag);

function grid(top, scale, width) {
  const every = Math.max(1, Math.ceil(top / 4));
  const lines = [];
  for (let exponent = 0; exponent <= top; exponent += every) {
    const y = scale.y(10 ** exponent - 1);
    lines.push(h("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y, y2: y }),
      h("text", { class: "tick end", x: edge.left - 8, y: y + 4 }, exponent === 0 ? "0" : power(exponent)));
  }
  return lines;
}

function steps(samples, scale, now) {
  let d = "";
  for (const { at, lag } of samples) {
    const x = scale.x(Date.parse(at)).toFixed(1);
    const y = scale.y(lag).toFixed(1);
    d += d === "" ? `M${x} ${y}` : `H${x}V${y}`;
  }
  return `${d}H${scale.x(+now).toFixed(1)}`;
}

function spoken(lines) {
  return lines.map(({ v, samples }) => {
    const peak = Math.max(...samples.map((s) => s.lag));
    return `Version ${v.version} is ${grouped(samples.at(-1).lag)} events behind the log, at most ${grouped(peak)} in the time shown.`;
  }).join(" ");
}
