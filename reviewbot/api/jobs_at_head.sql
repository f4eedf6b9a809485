-- Jobs, and their repositories, whose head begins with some digits. $1 the digits.
select stream, repository_id from trail_subjects
where head_sha ~>=~ $1 and head_sha ~<~ ($1 || 'g') and job = stream -- no hex digit comes after f
limit 1000
