-- The version after a stream's last event. $1 stream.
select coalesce(max(version), 0) + 1 from event where stream = $1
