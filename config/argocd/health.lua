-- The health of a NawhasRelease, from its conditions. Only Stalled=True is
-- Degraded: a candidate that is late or tried again leaves the live version alone.
-- What waits for people by their own wish is Suspended.
local health = {status = "Progressing", message = "the operator has not looked at it yet"}
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "it is being deleted"
  return health
end
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "the operator has not seen the latest change yet"
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function is(name, status)
  return conditions[name] ~= nil and conditions[name].status == status
end
local function message(name)
  return conditions[name] ~= nil and conditions[name].message or ""
end

local ready = conditions.Ready
if is("Stalled", "True") and conditions.Stalled.reason == "Held" then
  health.status, health.message = "Suspended", message("Stalled")
elseif is("Stalled", "True") then
  health.status, health.message = "Degraded", message("Stalled")
elseif ready == nil then
  return health
elseif ready.reason == "AwaitingApproval" or ready.reason == "Suspended" or ready.reason == "DryRun" then
  health.status, health.message = "Suspended", ready.message
elseif not is("Ready", "True") then
  health.message = ready.message
elseif not is("Available", "True") then
  health.message = message("Available")
elseif is("Reconciling", "True") then
  health.message = ready.message .. "; " .. message("Reconciling")
else
  health.status, health.message = "Healthy", ready.message
end
return health
