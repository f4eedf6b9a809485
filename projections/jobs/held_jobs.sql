-- Waiting jobs whose installation is held back by a used up budget, and whose Check Run does not say so. $1 rows; $2 jobs
-- with $3 the reasons that their Check Runs give.
select j.*, i.pause_reason
from installations i
join jobs j using (installation)
where i.budget is not null and i.paused_until > now()
  and j.state = 'queued' and j.check_run_id is not null and j.check_version = j.request_version
  and not exists (
      select from unnest($2::uuid[], $3::text[]) told (job, reason)
      where told.job = j.job and told.reason = i.pause_reason
  )
order by j.run_at, j.job
limit $1
