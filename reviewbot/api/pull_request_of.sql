-- The pull request that a job is about. $1 job.
select repository_id, pull_request from trail_subjects where stream = $1 and job = stream
