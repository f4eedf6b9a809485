-- What reviews came to between two positions, by day, repository and installation: those that ended, and the calls to
-- models, whatever came of them. $1 first position, $2 last position, $3 positions of a block, $4 repositories, null for
-- all. A review that was opened again counts each time that it ended.
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
),
reviewed as (
    select (e.recorded_at at time zone 'UTC')::date as day, j.repository_id, j.installation,
           max(j.repository) as repository,
           count(*) filter (where topic = 'ReviewCompleted') as reviews,
           coalesce(sum(e.findings), 0) as findings,
           count(*) filter (where topic = 'ReviewFailed') as failed,
           percentile_cont(0.5) within group (order by extract(epoch from e.recorded_at - j.requested_at))
               filter (where topic = 'ReviewCompleted') as median_seconds,
           percentile_cont(0.95) within group (order by extract(epoch from e.recorded_at - j.requested_at))
               filter (where topic = 'ReviewCompleted') as p95_seconds
    from ended e
    join jobs j using (job)
    where $4::bigint[] is null or j.repository_id = any ($4)
    group by 1, 2, 3
),
asked as (
    select (c.asked_at at time zone 'UTC')::date as day, j.repository_id, j.installation,
           max(j.repository) as repository,
           sum(c.input_tokens)::bigint as input_tokens, sum(c.output_tokens)::bigint as output_tokens,
           coalesce(sum(c.cost_usd), 0) as cost_usd,
           coalesce(sum(c.cost_usd) filter (where c.use = 'unused'), 0) as unused_usd,
           count(*) filter (where c.use = 'unused' and c.outcome <> 'failed') as unused_calls,
           count(*) filter (where c.outcome = 'answered' and c.price_table is not null and c.cost_usd is null)
               as unpriced_calls
    from model_calls c
    join jobs j using (job)
    where c.position between $1 and $2 and ($4 is null or j.repository_id = any ($4))
    group by 1, 2, 3
)
select day, coalesce(r.repository, a.repository) as repository, installation,
       coalesce(reviews, 0) as reviews, coalesce(findings, 0) as findings, coalesce(failed, 0) as failed,
       median_seconds, p95_seconds,
       coalesce(input_tokens, 0) as input_tokens, coalesce(output_tokens, 0) as output_tokens,
       coalesce(cost_usd, 0) as cost_usd, coalesce(unused_usd, 0) as unused_usd,
       coalesce(unused_calls, 0) as unused_calls, coalesce(unpriced_calls, 0) as unpriced_calls, repository_id
from reviewed r
full join asked a using (day, repository_id, installation)
order by day desc, reviews desc, repository, installation
