-- Which actions Argo CD offers for a NawhasRelease as it is.
local actions = {}
local function offer(name, possible)
  actions[name] = {["disabled"] = not possible}
end

local status = obj.status or {}
local annotations = obj.metadata.annotations or {}
local hold = annotations["releases.nawhas.com/hold"]
local live = status.live or ""
local promotion = obj.spec.promotion or {}
local reason, held = "", false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    reason = condition.reason
  end
end
for _, version in ipairs(status.versions or {}) do
  if version.version == obj.spec.version and version.held ~= nil then
    held = true
  end
end

offer("promote", reason == "AwaitingApproval")
offer("abort", live ~= "" and live ~= obj.spec.version and hold == nil and not held)
offer("retry", held)
offer("hold", live ~= "" and hold == nil)
offer("suspend", promotion.mode ~= "Manual")
offer("resume", hold ~= nil or promotion.mode == "Manual")
return actions
