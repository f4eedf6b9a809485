-- $1 repository ids, $2 pull request numbers.
select p.*
from unnest($1::bigint[], $2::int[]) as k (repository_id, pull_request)
join pull_requests p using (repository_id, pull_request)
