-- What facts decide of the given installations; not locked, for no one else writes these columns. $1 ids.
select installation, state, changed_at, paused_until, pause_reason from installations where installation = any ($1::bigint[])
