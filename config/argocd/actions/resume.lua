-- Undoes suspend and hold, whichever there is.
obj.spec.suspend = nil
local annotations = obj.metadata.annotations
if annotations ~= nil then
  annotations["releases.nawhas.com/hold"] = nil
  if next(annotations) == nil then
    obj.metadata.annotations = nil
  end
end
return obj
