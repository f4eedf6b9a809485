-- A comparison begins, or goes on where the last one stopped.
update recovery
set top = case when cursor is null then now() else top end
returning now() as now, covered_until, top, cursor
