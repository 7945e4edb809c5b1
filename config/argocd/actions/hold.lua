-- Keeps the live version, whatever spec.version says, until resume.
if obj.status ~= nil and obj.status.live ~= nil then
  obj.metadata.annotations = obj.metadata.annotations or {}
  obj.metadata.annotations["releases.nawhas.com/hold"] = obj.status.live
end
return obj
