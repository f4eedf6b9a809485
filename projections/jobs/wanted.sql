-- Which of the given running jobs are no longer wanted, and by which claim they are held now. $1 jobs.
select job, claim_no, state, superseded_by, cancel_reason from jobs where job = any ($1::uuid[])
