-- The queue at a glance.
select
    (select coalesce(sum(queued), 0) from installations)::bigint as pending,
    (select coalesce(sum(running), 0) from installations)::bigint as processing,
    (select count(*) from jobs where state = 'ending') as ending,
    (select count(*) from jobs where state = 'failed' and finished_at > now() - interval '1 day') as failed,
    (select coalesce(extract(epoch from now() - min(next_run_at)), 0)
     from installations where queued > 0 and state = 'active' and next_run_at <= now())::float8 as oldest_seconds,
    (select count(*) from installations where paused_until > now()) as paused
