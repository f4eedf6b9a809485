-- A stretch of the log. $1 first position, $2 last position, $3 direction: 1 upwards, -1 downwards.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from event
where position between $1::bigint and $2::bigint
order by position * $3::int
