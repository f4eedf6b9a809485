-- Reviews that failed between two positions, by the code of the failure. $1 first position, $2 last position,
-- $3 positions of a block.
with failed as materialized (
    select e.position, e.stream, e.recorded_at, e.data ->> 'code' as code, e.data ->> 'reason' as reason,
           e.data ->> 'retry_at' is null as final
    from trail t
    cross join lateral (
        select position, stream, recorded_at, data
        from event
        where position between greatest($1::bigint, t.block * $3::int) and least($2::bigint, t.block * $3 + $3 - 1)
          and topic = 'ReviewFailed'
        offset 0
    ) e
    where t.facet = 'topic' and t.value = 'ReviewFailed' and t.block between $1 / $3 and $2 / $3
),
newest as (
    select distinct on (code) code, position, stream, reason from failed order by code, position desc
)
select f.code, count(*) filter (where final) as failed, count(*) filter (where not final) as tried_again,
       count(distinct s.repository_id) as repositories, min(f.recorded_at) as first_at, max(f.recorded_at) as last_at,
       n.stream as job, n.reason
from failed f
join newest n using (code)
left join trail_subjects s on s.stream = f.stream
group by f.code, n.stream, n.reason
order by failed desc, tried_again desc, f.code
