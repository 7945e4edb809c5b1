-- Lets the version that awaits approval go live.
obj.spec.promotion = obj.spec.promotion or {}
obj.spec.promotion.approved = obj.spec.version
return obj
