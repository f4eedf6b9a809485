-- Fills an empty log with whole reviews over the ninety days before now: twelve events of each, every twentieth fails
-- instead, and every second is followed by a delivery that is ignored. $1 jobs, $2 repositories, of which the first
-- holds a fifth of all; five of them make an installation.
with life (step, after, stream, topic) as (
    values (1, 0, 'job', 'ReviewRequested'), (2, 5, 'check', 'CheckRunCreated'), (3, 20, 'job', 'ReviewStarted'),
           (4, 22, 'job', 'HeadResolved'), (5, 24, 'job', 'ChangesGathered'), (6, 26, 'job', 'ModelAsked'),
           (7, 40, 'job', 'AnswerReceived'), (8, 42, 'job', 'ReviewPrepared'), (9, 44, 'job', 'ReviewPosted'),
           (10, 45, 'job', 'ReviewCompleted'), (10, 45, 'job', 'ReviewFailed'), (11, 47, 'check', 'CheckRunConcluded'),
           (12, 60, 'told', 'DeliveryIgnored')
),
job as (
    select n, case when n % 5 = 0 then 1 else 2 + n % ($2::int - 1) end as repository_id, n / 40 % 200 + 1 as pull_request,
           md5('job ' || n)::uuid as job, md5('delivery ' || n)::uuid as delivery, md5('head ' || n) || 'abcdef01' as head
    from generate_series(1, $1::int) n
),
told as (
    select job.*, life.*, row_number() over (partition by n, stream order by step)::int as version,
           row_number() over (order by n + after, step) as position, repository_id / 5 + 1 as installation
    from job
    join life on case when n % 20 = 0 then topic not in ('ReviewPosted', 'ReviewCompleted') else topic <> 'ReviewFailed' end
        and (topic <> 'DeliveryIgnored' or n % 2 = 0)
),
filled as (
    insert into event (position, stream, version, topic, data, installation, delivery, actor, correlation, recorded_at)
    select position, case stream when 'job' then job else md5(stream || n)::uuid end, version, topic,
           case topic
               when 'ReviewRequested' then json_build_object(
                   'installation', installation, 'repository_id', repository_id, 'repository', 'octo/r' || repository_id,
                   'pull_request', pull_request, 'head_sha', head, 'trigger', 'opened',
                   'asked_at', '2026-01-01T00:00:00Z', 'requested_by', 1000 + n % 500)
               when 'CheckRunCreated' then json_build_object(
                   'job', job, 'check_run_id', n, 'head_sha', head, 'request_version', 1)
               when 'ReviewStarted' then json_build_object(
                   'attempt', 1, 'claim_no', 1, 'worker', md5('worker ' || n % 8)::uuid, 'deadline', '2026-01-01T00:15:00Z')
               when 'HeadResolved' then json_build_object('head_sha', head, 'base_sha', head)
               when 'ChangesGathered' then json_build_object(
                   'files', 9, 'reviewed', 8, 'left_out', 1, 'coverage', md5('c' || n), 'changes', md5('d' || n))
               when 'ModelAsked' then json_build_object(
                   'call', 1, 'provider', 'rules', 'model', 'rules', 'prompt', md5('p' || n), 'prompt_version', '1')
               when 'AnswerReceived' then json_build_object(
                   'call', 1, 'provider', 'rules', 'model', 'rules', 'prompt', md5('p' || n), 'answer', md5('a' || n),
                   'finish', 'complete', 'input_tokens', 5000 + n % 3000, 'output_tokens', n % 900, 'latency_ms', n % 9000,
                   'cost_usd', (n % 99 / 1000.0)::text, 'price_table', 'a list')
               when 'ReviewPrepared' then json_build_object(
                   'head_sha', head, 'findings', n % 9, 'inline', n % 9, 'plan', md5('q' || n), 'conclusion', 'neutral')
               when 'ReviewPosted' then json_build_object(
                   'review_id', n, 'url', 'https://github.com/octo/r/pull/1#pullrequestreview-' || n, 'comments', n % 9)
               when 'ReviewCompleted' then json_build_object(
                   'head_sha', head, 'findings', n % 9, 'conclusion', 'neutral', 'review_id', n)
               when 'ReviewFailed' then json_build_object(
                   'code', (array['provider_unavailable', 'github_refused', 'deadline'])[1 + n / 20 % 3],
                   'reason', 'It did not answer.')
               when 'CheckRunConcluded' then json_build_object(
                   'job', job, 'check_run_id', n, 'conclusion', 'neutral', 'request_version', 1)
               else json_build_object(
                   'event', 'pull_request', 'action', 'labeled', 'reason', 'nothing is asked for by this',
                   'installation', installation, 'repository_id', repository_id, 'repository', 'octo/r' || repository_id,
                   'pull_request', pull_request, 'head_sha', head)
           end,
           installation, case when topic in ('ReviewRequested', 'DeliveryIgnored') then delivery end,
           case when topic in ('ReviewRequested', 'DeliveryIgnored') then 'user:' || 1000 + n % 500
                else 'worker:' || n % 8 end,
           delivery, now() - interval '90 days' * (1 - position / (12.0 * $1))
    from told
    order by position
    returning position
)
update log_head set position = (select count(*) from filled)
