// The page: it listens to the feed, and draws what it heard once a second,
// because times go on by themselves.

import { patch } from "./dom.js";
import { headline } from "./words.js";
import { place, problem, releases } from "./view.js";

const state = { releases: [], lags: [], heard: false };
const page = Object.fromEntries(["place", "connection", "problem", "spoken", "releases"].map((id) => [id, document.getElementById(id)]));
const oneColumn = matchMedia("(max-width: 849px)"); // as in style.css
let stream = null;

/** listen opens the feed. A page that nobody looks at has none open. */
function listen() {
  stream?.close();
  stream = new EventSource("events");
  stream.onopen = () => connection("live");
  stream.onerror = () => connection("reconnecting");
  stream.onmessage = ({ data }) => {
    const { all, lags, ...told } = JSON.parse(data);
    Object.assign(state, { problem: undefined, podsHidden: false }, told, { heard: true, lags: all ? lags : state.lags.concat(lags) });
    connection("live");
    draw();
  };
}

function connection(how) {
  const words = { live: "live", reconnecting: "connection lost: is the program still running?", paused: "paused" };
  const text = how === "live" && state.problem ? "waiting for the cluster" : words[how];
  page.connection.className = `connection ${how === "live" && state.problem ? "reconnecting" : how}`;
  if (page.connection.textContent !== text) page.connection.textContent = text;
}

function draw() {
  if (!state.heard) return;
  const now = new Date();
  patch(page.place, place(state));
  patch(page.problem, problem(state));
  patch(page.releases, releases(state, now, room()));
  say(state.releases);
}

/** room is how wide drawings can be, in a panel of a column and in one of the whole page. */
function room() {
  const gap = 14, inside = 42;
  const width = page.releases.clientWidth;
  const whole = Math.max(220, width - inside);
  return { whole, half: oneColumn.matches ? whole : Math.floor((width - gap) / 2) - inside };
}

/** say tells screen readers what has changed, and tabs what is going on. */
function say(all) {
  const text = all.map((release) => `${release.name}: ${headline(release).text}.`).join(" ");
  if (page.spoken.textContent !== text) page.spoken.textContent = text;
  const busy = all.flatMap((release) => release.versions.filter((v) => v.progress && v.version === release.wanted));
  const share = busy.length ? `${busy[0].progress.percent} % ` : "";
  const first = all.length === 1 ? `${all[0].name}: ${headline(all[0]).text}` : `${all.length} releases`;
  if (document.title !== share + first) document.title = share + first;
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") return listen();
  stream?.close();
  stream = null;
  connection("paused");
});
window.addEventListener("resize", draw);
setInterval(() => document.visibilityState === "visible" && draw(), 1000);
listen();
