// The stages of the wanted version on one axis of time, from its first one to
// now or to the end of its way.

import { h } from "./dom.js";
import { span, time } from "./format.js";
import { stageName, wantedOf } from "./words.js";

const row = 22;
const edge = { top: 4, right: 10, bottom: 24, left: 92 };

export function timeline(release, now, width) {
  const wanted = wantedOf(release);
  const bars = barsOf(wanted, now);
  if (bars.length === 0) return h("p", { class: "quiet" }, "It begins when the first stage is passed.");
  const from = Math.min(...bars.map((bar) => bar.from));
  const to = Math.max(from + 1000, ...bars.map((bar) => bar.to));
  const x = (at) => edge.left + ((at - from) / (to - from)) * (width - edge.left - edge.right);
  const height = edge.top + bars.length * row + edge.bottom;
  const switched = bars.find((bar) => bar.stage.name === "Switched" && bar.stage.state === "Done");
  return h("figure", null,
    h("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": spoken(wanted, bars) },
      switched ? h("line", { class: "moment", x1: x(switched.to), x2: x(switched.to), y1: edge.top, y2: height - edge.bottom }) : null,
      bars.map((bar, i) => [
        h("text", { class: "tick", x: 0, y: edge.top + i * row + 15 }, stageName(bar.stage)),
        h("rect", { class: `bar ${bar.stage.state.toLowerCase()}`, x: x(bar.from).toFixed(1), y: edge.top + i * row + 6, rx: 3,
          width: Math.max(3, x(bar.to) - x(bar.from)).toFixed(1), height: row - 11 },
          h("title", null, `${stageName(bar.stage)}: ${span((bar.to - bar.from) / 1000)}`)),
      ]),
      h("text", { class: "tick", x: edge.left, y: height - 6 }, time(new Date(from), now)),
      h("text", { class: "tick end", x: width - edge.right, y: height - 6 }, to === +now ? "now" : time(new Date(to), now))),
    h("figcaption", null, h("span", { class: "note" }, caption(release, wanted, bars, now))));
}

/**
 * barsOf places the stages in time. When one was passed is known to the second only, so none is
 * drawn as begun before the one before it ended; one under way has begun just then.
 */
function barsOf(version, now) {
  const bars = [];
  for (const stage of version.stages ?? []) {
    if (stage.state === "Done" && stage.finishedAt) {
      const length = 1000 * (stage.seconds ?? 0);
      const to = Math.max(Date.parse(stage.finishedAt), bars.length > 0 ? bars.at(-1).to + length : 0);
      bars.push({ stage, from: to - length, to });
    } else if (stage.state !== "Done" && stage.state !== "Waiting" && bars.length > 0) {
      bars.push({ stage, from: bars.at(-1).to, to: +now });
    }
  }
  return bars;
}

function caption(release, wanted, bars, now) {
  const total = span((Math.max(...bars.map((bar) => bar.to)) - Math.min(...bars.map((bar) => bar.from))) / 1000);
  if (wanted.role !== "Live" || !wanted.liveSince) return `${total} so far`;
  const since = `live since ${time(new Date(wanted.liveSince), now)}`;
  return bars.some((bar) => bar.to === +now) ? since : `${total} in all, ${since}`;
}

function spoken(version, bars) {
  const parts = bars.map((bar) => `${stageName(bar.stage)} ${span((bar.to - bar.from) / 1000)}`);
  return `Stages of version ${version.version}: ${parts.join(", ")}.`;
}
