-- The rows that a page of events may touch, each kind as one JSON array: the jobs of the page, the open jobs of its pull
-- requests, those pull requests, and what facts decide of its installations and providers.
-- "offset 0" keeps each look-up one through the index: a join would be planned while the tables are small, as a scan of the
-- whole, and the plan kept when they have grown.
-- Jobs are locked: a claim passes them by meanwhile. The other rows are written by the projector alone.
-- $1 jobs, $2 repository ids, $3 pull request numbers, $4 installations, $5 providers.
with pull as (select * from unnest($2::bigint[], $3::int[]) as p (repository_id, pull_request)),
locked as (
    select *
    from jobs
    where job = any (array(
        select unnest($1::uuid[])
        union
        select open.job
        from pull
        cross join lateral (
            select job
            from jobs
            where repository_id = pull.repository_id and pull_request = pull.pull_request
              and state in ('queued', 'ending', 'running')
            offset 0
        ) open
    ))
    for update
)
select
    (select coalesce(json_agg(j), '[]') from locked j),
    (select coalesce(json_agg(p), '[]')
     from pull
     cross join lateral (
         select *
         from pull_requests
         where repository_id = pull.repository_id and pull_request = pull.pull_request
         offset 0
     ) p),
    (select coalesce(json_agg(i), '[]') from (
        select installation, state, changed_at, paused_until, pause_reason, budget
        from installations where installation = any ($4::bigint[])) i),
    (select coalesce(json_agg(p), '[]') from providers p where provider = any ($5::text[]))
