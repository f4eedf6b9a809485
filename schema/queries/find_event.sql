-- One event, as the writer that lost the reply would recognise it. $1 stream, $2 version.
select position, topic, data, correlation from event where stream = $1 and version = $2
