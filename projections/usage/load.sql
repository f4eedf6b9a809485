-- The calls of some jobs as one JSON array. $1 jobs.
select coalesce(json_agg(c), '[]') from model_calls c where job = any ($1::uuid[])
