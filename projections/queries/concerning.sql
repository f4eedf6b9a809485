-- What the log says up to a position about some repositories, or one pull request of theirs. $1 position,
-- $2 repositories, $3 pull request or null.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from trail_subjects
join event using (stream)
where repository_id = any ($2::bigint[]) and ($3::int is null or pull_request = $3) and position <= $1
order by position
