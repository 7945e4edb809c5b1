-- Undoes hold and abort; without one it undoes suspend.
local annotations = obj.metadata.annotations
if annotations ~= nil and annotations["releases.nawhas.com/hold"] ~= nil then
  annotations["releases.nawhas.com/hold"] = nil
  if next(annotations) == nil then
    obj.metadata.annotations = nil
  end
elseif obj.spec.promotion ~= nil then
  obj.spec.promotion.mode = "Automatic"
end
return obj
