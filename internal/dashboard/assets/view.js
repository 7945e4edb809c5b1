// What the page shows, as descriptions of elements. Nothing here looks at the
// clock or at the page.

import { h } from "./dom.js";
import { grouped, short, span, time } from "./format.js";
import { lagChart } from "./lag.js";
import { timeline } from "./timeline.js";
import { headline, roleOf, stageName, wantedOf, wayBack } from "./words.js";

export function place({ cluster, namespace }) {
  return [cluster, cluster ? " · " : "", namespace ? h("b", null, namespace) : "all namespaces"];
}

export function problem({ problem }) {
  return problem ? [h("p", { class: "problem" }, h("b", null, problem.what), " ", problem.advice ?? "")] : [];
}

/** releases draws all of them, with drawings as wide as is said: {half, whole}. */
export function releases(state, now, width) {
  if (state.releases.length === 0) {
    const where = state.namespace ? `in namespace ${state.namespace}` : "in this cluster";
    return [h("p", { class: "empty" }, `There is no release ${where}. It appears here as soon as one is applied.`)];
  }
  return state.releases.map((release) => section(release, state, now, width));
}

function section(release, state, now, width) {
  const id = `${release.namespace}-${release.name}`;
  const { tone, text } = headline(release);
  const wanted = wantedOf(release);
  const samples = state.lags.filter((sample) => sample.release === `${release.namespace}/${release.name}`);
  return h("section", { "aria-labelledby": id },
    h("div", { class: "head" },
      h("h2", { id }, state.namespace ? release.name : `${release.namespace}/${release.name}`),
      h("p", { class: `headline ${tone}` }, text)),
    remark(release, wanted),
    h("ul", { class: "versions", "aria-label": "Versions" }, release.versions.map((v) => card(v, release, state, now))),
    h("div", { class: "panels" },
      h("div", { class: "panel" }, h("h3", null, `Stages of ${release.wanted}`), stages(wanted, now)),
      h("div", { class: "panel" }, h("h3", null, "Lag"), lagChart(release, samples, now, width.half)),
      h("div", { class: "panel wide" }, h("h3", null, `Time line of ${release.wanted}`), timeline(release, now, width.whole))));
}

/** remark is what somebody should know who reads nothing else. */
function remark(release, wanted) {
  const inStage = wanted.stages?.some((stage) => stage.state !== "Done" && stage.message === release.message);
  const back = wayBack(release);
  return [
    release.hold ? h("p", { class: "remark busy" }, `The annotation releases.nawhas.com/hold keeps version ${release.hold} live, whatever spec.version says.`) : null,
    release.live && !release.available && release.unavailable ? h("p", { class: "remark bad" }, release.unavailable) : null,
    release.seen && !release.ready && release.message && !inStage && !wanted.progress ? h("p", { class: "remark" }, release.message) : null,
    back && !back.none ? h("p", { class: `remark ${back.ready ? "good" : "bad"}` }, h("b", null, back.ready ? "You can go back: " : "You cannot go back at once: "), back.text) : null,
  ];
}

function card(v, release, state, now) {
  return h("li", { class: `card ${v.role.toLowerCase()}` },
    h("p", { class: "role" }, roleOf(v, release)),
    h("p", { class: "number" }, v.version),
    v.database ? h("p", { class: "database" }, v.database) : h("p", { class: "database" }, "no database yet"),
    h("dl", null,
      fact("replayed", v.progress ? `${v.progress.percent} %` : null),
      fact("lag", v.lag === undefined ? null : `${grouped(v.lag)} ${v.lag === 1 ? "event" : "events"}`),
      fact("pods", pods(v, state)),
      fact("live for", v.role === "Live" && v.liveSince ? span((now - new Date(v.liveSince)) / 1000) : null),
      fact("watched for", v.role === "Live" ? left(v.observedUntil, now) : null),
      fact("can come back for", v.role === "Warm" && !v.held ? left(v.warmUntil, now) ?? "no longer kept current" : null),
      fact("image", v.image ?? null)),
    v.held ? h("p", { class: "why" }, v.held) : null);
}

const fact = (name, value) => (value === null ? null : [h("dt", null, name), h("dd", null, value)]);

const left = (until, now) => (until && new Date(until) > now ? span((new Date(until) - now) / 1000) : null);

function pods(v, state) {
  if (state.podsHidden) return "you may not see them";
  return v.pods && (v.pods.wanted > 0 || v.pods.ready > 0) ? `${v.pods.ready} of ${v.pods.wanted} ready` : null;
}

const marks = { Done: "✔", Running: "●", Failed: "✘", Waiting: "·" };
const states = { Done: "done", Running: "under way", Failed: "failed", Waiting: "not yet" };

function stages(version, now) {
  return h("ol", { class: "stages" }, (version.stages ?? []).map((stage) => {
    const active = stage.state === "Running" || stage.state === "Failed";
    const replay = stage.name === "Replayed" && stage.state === "Running" ? version.progress : null;
    return h("li", { class: stage.state.toLowerCase(), ...(stage.state === "Running" ? { "aria-current": "step" } : {}) },
      h("span", { class: "mark", "aria-hidden": "true" }, marks[stage.state]),
      h("span", { class: "name" }, stageName(stage), h("span", { class: "unseen" }, `, ${states[stage.state]}`)),
      h("span", { class: "when" }, stage.state === "Done" ? took(stage, now) : active ? stage.reason ?? "" : ""),
      replay ? progress(replay, version) : null,
      active && !replay && stage.message ? h("p", { class: "message" }, stage.message) : null);
  }));
}

function took(stage, now) {
  const parts = [];
  if (stage.finishedAt) parts.push(h("time", { datetime: stage.finishedAt }, time(new Date(stage.finishedAt), now)));
  if (stage.seconds) parts.push(h("b", null, span(stage.seconds)));
  return parts;
}

function progress(replay, version) {
  const applied = replay.target > 0 && replay.position >= replay.target;
  const figures = [
    `${short(replay.position)} of ${short(replay.target)} events`,
    replay.eventsPerSecond > 0 && !applied ? `${grouped(replay.eventsPerSecond)} events/s` : null,
    replay.remainingSeconds > 0 && !applied ? `${span(replay.remainingSeconds)} left` : null,
    // When all events are applied, a replay makes the indexes that readers need.
    applied ? "building indexes" : null,
  ].filter(Boolean);
  return h("div", { class: "progress" },
    h("progress", { value: replay.position, max: Math.max(1, replay.target), "aria-label": `Replay of version ${version.version}` }, `${replay.percent} %`),
    h("b", null, `${replay.percent} %`),
    h("p", { class: "figures" }, figures.map((figure) => h("span", null, figure))));
}
