-- Takes at most one job of each installation whose turn it is, appends ReviewStarted and updates the row, all in one.
-- The limit is a subquery so that its value does not count for the plan: else every call would be planned anew.
-- $1 free slots, $2 worker, $3 actor, $4 hard limit of a review, $5 running reviews allowed per installation unless its
-- row says otherwise, $6 provider, $7 version of the tables that we know: nothing is taken from others.
with pick as materialized (
    select installation
    from installations
    where queued > 0 and state = 'active' and running < coalesce(max_running, $5::int) and next_run_at <= now()
      and (paused_until is null or paused_until <= now())
      and not exists (select from providers where provider = $6 and paused_until > now())
      and (select version from checkpoint where projection = 'jobs') = $7::int
    order by turn, installation
    limit (select $1::int)
    for update skip locked
),
chosen as materialized (
    select first.*, now() + $4::interval as ends, row_number() over (order by first.run_at, first.job) as n
    from pick
    cross join lateral (
        select job, version, attempt, claim_no, installation, correlation, request_position, run_at
        from jobs
        where state = 'queued' and installation = pick.installation and run_at <= now()
        order by run_at, job
        limit 1
        for update skip locked
    ) first
),
head as (
    update log_head set position = position + (select count(*) from chosen)
    where exists (select from chosen)
    returning position - (select count(*) from chosen) as base
),
started as (
    insert into event (position, stream, version, topic, data, installation, actor, correlation, causation)
    select base + n, job, version + 1, 'ReviewStarted',
           json_build_object('attempt', attempt + 1, 'claim_no', claim_no + 1, 'worker', $2::uuid, 'deadline', ends),
           installation, $3::text, correlation, request_position
    from chosen, head
    order by n
    returning stream, position, recorded_at
)
update jobs j
set state = 'running', version = c.version + 1, position = s.position, attempt = c.attempt + 1,
    claim_no = c.claim_no + 1, worker = $2, deadline = c.ends, started_at = s.recorded_at, started_position = s.position
from chosen c
join started s on s.stream = c.job
where j.job = c.job
returning j.*
