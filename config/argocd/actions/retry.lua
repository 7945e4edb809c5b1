-- Tries a version again that was sent back and is held.
obj.spec.retry = (obj.spec.retry or 0) + 1
return obj
