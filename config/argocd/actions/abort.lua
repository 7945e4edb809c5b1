-- Gives the wanted version up: its steps are stopped, and what is live stays so.
-- It is held until retry, or until spec.version changes.
if obj.status == nil or obj.status.live ~= obj.spec.version then
  obj.spec.abort = obj.spec.version
end
return obj
