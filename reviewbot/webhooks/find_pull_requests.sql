-- The pull requests in which a commit was to be reviewed, the newest request first. $1 repository, $2 head.
select pull_request
from jobs
where repository_id = $1 and head_sha = $2
group by pull_request
order by max(request_position) desc
limit 20
