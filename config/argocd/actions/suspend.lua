-- Stops the release where it is, until resume.
obj.spec.suspend = true
return obj
