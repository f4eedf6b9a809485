-- Fills an empty log with the lives of jobs: requested, started, completed, and every tenth of them fails once first.
-- About three hundred jobs are under way at any time, as the events of many lie in between. $1 jobs, $2 installations.
with life (step, after, topic) as (
    values (1, 0, 'ReviewRequested'), (2, 100, 'ReviewStarted'), (3, 200, 'ReviewFailed'), (4, 250, 'ReviewStarted'),
           (5, 300, 'ReviewCompleted')
),
told as (
    select n, topic, row_number() over (partition by n order by step)::int as version,
           row_number() over (order by n + after, step) as position, n % $2::int + 1 as installation
    from generate_series(1, $1::int) n
    join life on n % 10 = 0 or topic <> 'ReviewFailed' and step <> 4
),
filled as (
    insert into event (position, stream, version, topic, data, installation, delivery, actor, correlation, recorded_at)
    select position, md5('job ' || n)::uuid, version, topic,
           case topic
               when 'ReviewRequested' then json_build_object(
                   'installation', installation, 'repository_id', installation, 'repository', 'octo/hello-' || installation,
                   'pull_request', n, 'head_sha', md5('head ' || n) || 'abcdef01', 'trigger', 'opened',
                   'asked_at', '2026-01-01T00:00:00Z', 'requested_by', 1000 + n % 500)
               when 'ReviewStarted' then json_build_object(
                   'attempt', version / 2, 'claim_no', version / 2, 'worker', md5('worker ' || n % 8)::uuid,
                   'deadline', '2026-01-01T00:15:00Z')
               when 'ReviewFailed' then json_build_object(
                   'code', 'provider_unavailable', 'reason', 'The provider did not answer.',
                   'retry_at', '2026-01-01T00:00:10Z')
               else json_build_object(
                   'head_sha', md5('head ' || n) || 'abcdef01', 'findings', n % 9, 'conclusion', 'neutral',
                   'review_id', 1000000 + n)
           end,
           installation, case version when 1 then md5('delivery ' || n)::uuid end, 'worker:bench',
           md5('delivery ' || n)::uuid, timestamptz '2026-01-01' + position * interval '1 ms'
    from told
    order by position
    returning position
)
update log_head set position = (select count(*) from filled)
