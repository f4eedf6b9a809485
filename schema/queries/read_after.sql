-- One page of the log in order. $1 only positions above, $2 rows.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from event
where position > $1
order by position
limit $2
