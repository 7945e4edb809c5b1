-- Which actions Argo CD offers for a NawhasRelease as it is.
local actions = {}
local function offer(name, possible)
  actions[name] = {["disabled"] = not possible}
end

local spec, status = obj.spec, obj.status or {}
local annotations = obj.metadata.annotations or {}
local hold = annotations["releases.nawhas.com/hold"]
local live = status.live or ""
local suspended = spec.suspend == true
local givenUp = spec.abort == spec.version and live ~= spec.version
local reason, held, failed = "", false, false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    reason = condition.reason
  end
  if condition.reason == "JobFailed" or condition.reason == "TimedOut" or condition.reason == "EvidenceRefused" then
    failed = true
  end
  -- A version that was live before, whose way back ends with a round, is not built anew.
  if condition.reason == "RoundFailed" and condition.type ~= "RollbackReady" then
    failed = true
  end
end
for _, version in ipairs(status.versions or {}) do
  if version.version == spec.version and version.held ~= nil then
    held = true
  end
end

offer("promote", reason == "AwaitingApproval")
offer("abort", live ~= spec.version and hold == nil and not held and not givenUp)
offer("retry", held or givenUp or failed)
offer("hold", live ~= "" and hold == nil)
offer("suspend", not suspended)
offer("resume", suspended or hold ~= nil)
return actions
