-- Undoes suspend, or else hold: who held a version while the release was suspended wants it live.
if obj.spec.suspend == true then
  obj.spec.suspend = nil
  return obj
end
local annotations = obj.metadata.annotations
if annotations ~= nil then
  annotations["releases.nawhas.com/hold"] = nil
  if next(annotations) == nil then
    obj.metadata.annotations = nil
  end
end
return obj
