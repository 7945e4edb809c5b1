-- Tries a version again that was sent back or given up, or a step that failed.
obj.spec.retry = (obj.spec.retry or 0) + 1
if obj.spec.abort == obj.spec.version then
  obj.spec.abort = nil
end
return obj
