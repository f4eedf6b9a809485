-- When pull requests are swept next. $1 seconds from now, $2 whether this sweep was complete.
update recovery
set sweep_due = now() + make_interval(secs => $1), swept_at = case when $2 then now() else swept_at end
