-- The newest job for a commit. $1 repository, $2 head.
select job
from jobs
where repository_id = $1 and head_sha = $2
order by request_position desc
limit 1
