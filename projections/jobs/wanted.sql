-- Which of the given running jobs are no longer wanted, and by which claim they are held now. $1 jobs.
select j.job, j.claim_no, j.state, j.superseded_by, j.cancel_reason, i.state = 'deleted' as uninstalled
from jobs j
join installations i using (installation)
where j.job = any ($1::uuid[])
