-- One stream in order. $1 stream, $2 only versions above.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from event
where stream = $1 and version > $2
order by version
