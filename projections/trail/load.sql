-- What is known of some streams. $1 streams.
select stream, repository_id, pull_request, head_sha, job from trail_subjects where stream = any ($1::uuid[])
