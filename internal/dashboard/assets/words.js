// What is said of a release, in words: the same as `kubectl nawhas status`.

/** What a stage is called while it waits or is done, and while it runs. */
const stages = {
  DatabaseReady: ["database", "making the database"],
  Migrated: ["migrated", "migrating"],
  Replayed: ["replayed", "replaying"],
  Verified: ["verified", "verifying"],
  CaughtUp: ["caught up", "catching up"],
  Switched: ["switched", "switching"],
  Fenced: ["fenced", "fencing"],
};

export function stageName(stage) {
  const names = stages[stage.name] ?? [stage.name, stage.name];
  return stage.state === "Running" || stage.state === "Failed" ? names[1] : names[0];
}

export const wantedOf = (release) => release.versions.find((v) => v.version === release.wanted);

export const currentStage = (version) => version?.stages?.find((stage) => stage.state !== "Done");

/** What became of a version that does not go on, by the reason of the release. */
const standing = { RolledBack: "was sent back", Aborted: "was given up", Suspended: "is suspended" };

/** headline says how a release is: {tone: "good" | "busy" | "bad", text}. */
export function headline(release) {
  const { live, wanted } = release;
  const serves = live ? `Version ${live} is live` : "Nothing is live yet";
  if (live && !release.available) return { tone: "bad", text: `${serves} and does not serve` };
  if (!release.seen) return { tone: "busy", text: `${serves}; the operator has not seen the latest change yet` };
  if (release.hold && release.hold !== wanted) return { tone: "busy", text: `${serves} and held; ${wanted} waits` };
  const stage = currentStage(wantedOf(release));
  if (standing[release.stage]) return { tone: release.stage === "RolledBack" ? "bad" : "busy", text: `${serves}; ${wanted} ${standing[release.stage]}` };
  if (release.stalled) return { tone: "bad", text: `${serves}; ${wanted} needs you` };
  if (!stage) return { tone: release.ready ? "good" : "busy", text: release.ready ? serves : `${serves}; ${wanted}: ${release.stage}` };
  if (stage.reason === "AwaitingApproval") return { tone: "busy", text: `${serves}; ${wanted} waits for your approval` };
  return { tone: "busy", text: live === wanted ? `${serves}; ${stageName(stage)}` : `${serves}; ${stageName(stage)} ${wanted}` };
}

/** roleOf says what a version is for, or what became of it. */
export function roleOf(version, release) {
  if (!version.held) return version.role.toLowerCase();
  return version.version === release.wanted && release.stage === "Aborted" ? "given up" : "sent back";
}

/** wayBack says whether the previous version can come back. */
export function wayBack(release) {
  const back = release.rollback ?? {};
  if (!release.live || !back.reason) return null;
  return { ready: back.ready, none: back.reason === "NoPreviousVersion", text: back.message };
}
