-- The log up to a position. $1 position.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from event
where position <= $1
order by position
