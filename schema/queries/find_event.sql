-- One event, as the writer that lost the reply would recognise it. $1 stream, $2 version.
select position, topic, data, actor, correlation, installation, delivery, causation
from event
where stream = $1 and version = $2
