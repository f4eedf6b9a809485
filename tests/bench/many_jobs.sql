-- Fills the job table: $1 jobs over $2 installations, of which the first holds three tenths of all and is at its limit.
with numbered as (
    select n, case when n % 10 < 3 then 1 else 2 + n % ($2::int - 1) end as installation
    from generate_series(1, $1::int) n
),
filled as (
    insert into jobs (job, version, position, state, installation, repository_id, repository, pull_request, head_sha,
                      trigger, correlation, request_version, request_position, first_position, asked_at, requested_at, run_at,
                      check_version)
    select md5('job ' || n)::uuid, 1, n, case when n = 10 then 'running' else 'queued' end, installation, installation,
           'octo/hello', n, md5('head ' || n) || 'abcdef01', 'opened', md5('delivery ' || n)::uuid, 1, n, n,
           timestamptz '2026-01-01', timestamptz '2026-01-01' + n * interval '1 ms',
           timestamptz '2026-01-01' + n * interval '1 ms', 1
    from numbered
    returning 1
)
update log_head set position = (select count(*) from filled)
