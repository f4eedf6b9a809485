-- What some streams say up to a position. $1 position, $2 streams.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from unnest($2::uuid[]) as wanted (stream)
join event using (stream)
where position <= $1
order by position
