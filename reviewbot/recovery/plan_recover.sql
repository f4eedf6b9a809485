-- When deliveries are compared next. $1 seconds from now.
update recovery set recover_due = now() + make_interval(secs => $1)
