-- The jobs of a pull request in the order of their requests. $1 owner/name, $2 number.
select job
from jobs
where pull_request = $2
  and repository_id in (select repository_id from jobs where repository = $1 and pull_request = $2)
order by request_position
