-- Events of the streams that are about something. $1 first position, $2 last position, $3 direction: 1 upwards, -1
-- downwards, $4 rows, $5 repositories, $6 pull request, $7 first digits of a head, $8 job, $9 installation, $10 topics,
-- $11 actor, $12 correlation: null leaves one out.
with mine as materialized (
    select stream
    from trail_subjects
    where ($5::bigint[] is null or repository_id = any ($5))
      and ($6::int is null or pull_request = $6)
      and ($7::text is null or head_sha ~>=~ $7 and head_sha ~<~ ($7 || 'g')) -- no hex digit comes after f
      and ($8::uuid is null or job = $8)
)
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from mine
join event using (stream)
where position between $1::bigint and $2::bigint
  and ($9::bigint is null or installation = $9)
  and ($10::text[] is null or topic = any ($10))
  and ($11::text is null or actor = $11)
  and ($12::uuid is null or correlation = $12)
order by position * $3::int
limit $4
