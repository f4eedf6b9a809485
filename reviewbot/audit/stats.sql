-- Reviews that ended between two positions, by day and repository. $1 first position, $2 last position, $3 positions
-- of a block, $4 repositories, null for all. A review that was opened again counts each time that it ended.
with ended as materialized (
    select e.*
    from (
        select distinct block from trail
        where facet = 'topic' and value in ('ReviewCompleted', 'ReviewFailed') and block between $1 / $3::int and $2 / $3
    ) t
    cross join lateral (
        select stream as job, topic, recorded_at, (data ->> 'findings')::int as findings
        from event
        where position between greatest($1::bigint, t.block * $3) and least($2::bigint, t.block * $3 + $3 - 1)
          and (topic = 'ReviewCompleted' or topic = 'ReviewFailed' and data ->> 'retry_at' is null)
        offset 0
    ) e
)
select (e.recorded_at at time zone 'UTC')::date as day, max(j.repository) as repository,
       count(*) filter (where topic = 'ReviewCompleted') as reviews,
       coalesce(sum(e.findings), 0) as findings,
       count(*) filter (where topic = 'ReviewFailed') as failed,
       percentile_cont(0.5) within group (order by extract(epoch from e.recorded_at - j.requested_at))
           filter (where topic = 'ReviewCompleted') as median_seconds,
       percentile_cont(0.95) within group (order by extract(epoch from e.recorded_at - j.requested_at))
           filter (where topic = 'ReviewCompleted') as p95_seconds,
       sum(j.input_tokens)::bigint as input_tokens, sum(j.output_tokens)::bigint as output_tokens
from ended e
join jobs j using (job)
where $4::bigint[] is null or j.repository_id = any ($4)
group by 1, j.repository_id
order by 1 desc, reviews desc, 2
