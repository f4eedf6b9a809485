-- Jobs whose Check Run does not say what the job says: none yet for the request, or still open though the job ended.
-- $1 rows.
select *
from jobs
where head_sha is not null
  and (check_version is null or check_version <> request_version
       or (not check_concluded and state in ('completed', 'failed', 'superseded', 'cancelled', 'skipped')))
order by request_position
limit $1
