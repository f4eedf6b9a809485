-- Events of the blocks in which every wanted facet occurs. $1 first position, $2 last position, $3 direction: 1 upwards,
-- -1 downwards, $4 rows, $5 positions of a block, $6 facets and $7 values that are wanted, pair by pair; and what the
-- events must fit themselves: $8 repositories, $9 installation, $10 topics, $11 actor, $12 correlation, null if any.
with wanted as materialized (
    select * from unnest($6::text[], $7::text[]) as w (facet, value)
),
candidate as materialized (
    select block * $3::int as place, block
    from wanted
    join trail using (facet, value)
    where block between $1::bigint / $5::int and $2::bigint / $5
    group by block
    having count(distinct facet) = (select count(distinct facet) from wanted)
    order by 1
)
select e.*
from candidate c
cross join lateral (
    select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
    from event
    where position between greatest($1, c.block * $5) and least($2, c.block * $5 + $5 - 1)
      and ($9::bigint is null or installation = $9)
      and ($10::text[] is null or topic = any ($10))
      and ($11::text is null or actor = $11)
      and ($12::uuid is null or correlation = $12)
    offset 0
) e
left join trail_subjects s on s.stream = e.stream
where $8::bigint[] is null or s.repository_id = any ($8)
order by c.place, e.position * $3
limit $4
