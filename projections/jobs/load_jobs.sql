-- The jobs of a page of events and the open jobs of its pull requests. Locked: a claim passes them by meanwhile.
-- $1 jobs, $2 repository ids, $3 pull request numbers.
select *
from jobs
where job = any (array(
    select unnest($1::uuid[])
    union
    select j.job
    from unnest($2::bigint[], $3::int[]) as p (repository_id, pull_request)
    join jobs j using (repository_id, pull_request)
    where j.state in ('queued', 'ending', 'running')
))
for update
