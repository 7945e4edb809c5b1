-- Gives a candidate up: the live version stays, until resume or another spec.version
-- and resume. Nothing that serves is touched.
if obj.status ~= nil and obj.status.live ~= nil then
  obj.metadata.annotations = obj.metadata.annotations or {}
  obj.metadata.annotations["releases.nawhas.com/hold"] = obj.status.live
end
return obj
