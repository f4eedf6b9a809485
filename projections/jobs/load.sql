-- The rows that a page of events may touch, each kind as one JSON array: the jobs of the page, the open jobs of its pull
-- requests, those pull requests, and what facts decide of its installations and providers.
-- Jobs are locked: a claim passes them by meanwhile. The other rows are written by the projector alone.
-- $1 jobs, $2 repository ids, $3 pull request numbers, $4 installations, $5 providers.
with pull as (select * from unnest($2::bigint[], $3::int[]) as p (repository_id, pull_request)),
locked as (
    select *
    from jobs
    where job = any (array(
        select unnest($1::uuid[])
        union
        select j.job
        from pull join jobs j using (repository_id, pull_request)
        where j.state in ('queued', 'ending', 'running')
    ))
    for update
)
select
    (select coalesce(json_agg(j), '[]') from locked j),
    (select coalesce(json_agg(p), '[]') from pull join pull_requests p using (repository_id, pull_request)),
    (select coalesce(json_agg(i), '[]') from (
        select installation, state, changed_at, paused_until, pause_reason
        from installations where installation = any ($4::bigint[])) i),
    (select coalesce(json_agg(p), '[]') from providers p where provider = any ($5::text[]))
