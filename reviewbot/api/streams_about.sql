-- The streams that say something about repositories, or about one pull request of theirs. $1 repositories,
-- $2 pull request or null, $3 rows or null.
select stream
from trail_subjects
where repository_id = any ($1::bigint[]) and ($2::int is null or pull_request = $2)
limit $3
