-- From now on a verified version waits for promote.
obj.spec.promotion = obj.spec.promotion or {}
obj.spec.promotion.mode = "Manual"
return obj
