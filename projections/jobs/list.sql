-- A page of jobs, those that were asked for last first. $1 only places before, $2 rows, $3 repositories, $4 pull request,
-- $5 installation, $6 state, $7 first digits of the head, $8 jobs: null leaves one out.
select *
from jobs
where ($1::bigint is null or first_position < $1)
  and ($3::bigint[] is null or repository_id = any ($3))
  and ($4::int is null or pull_request = $4)
  and ($5::bigint is null or installation = $5)
  and ($6::text is null or state = $6)
  and ($7::text is null or head_sha like $7 || '%')
  and ($8::uuid[] is null or job = any ($8))
order by first_position desc
limit $2
