-- Answers that were recorded without a price between two positions, by day, repository, installation and model, with
-- sums of their tokens. $1 first position, $2 last position, $3 repositories, null for all.
select (c.asked_at at time zone 'UTC')::date as day, j.repository_id, j.installation, c.provider, c.model,
       c.use = 'unused' as unused, count(*) as calls, max(c.asked_at) as asked_at,
       sum(c.input_tokens)::bigint as input_tokens, sum(c.output_tokens)::bigint as output_tokens,
       sum(c.cached_input_tokens)::bigint as cached_input_tokens
from model_calls c
join jobs j using (job)
where c.position between $1 and $2 and c.outcome = 'answered' and c.price_table is null
  and ($3::bigint[] is null or j.repository_id = any ($3))
group by 1, 2, 3, 4, 5, 6
