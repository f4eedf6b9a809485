-- Writes folded rows, each kind given as a JSON array. The counters of installations are left to the triggers of jobs.
-- $1 jobs, $2 installations, $3 pull requests, $4 providers.
with saved_installations as (
    insert into installations as i (installation, state, changed_at, paused_until, pause_reason, budget)
    select installation, state, changed_at, paused_until, pause_reason, budget
    from json_populate_recordset(null::installations, $2::json)
    on conflict (installation) do update
    set state = excluded.state, changed_at = excluded.changed_at, paused_until = excluded.paused_until,
        pause_reason = excluded.pause_reason, budget = excluded.budget
    where (i.state, i.changed_at, i.paused_until, i.pause_reason, i.budget) is distinct from
          (excluded.state, excluded.changed_at, excluded.paused_until, excluded.pause_reason, excluded.budget)
),
saved_pulls as (
    insert into pull_requests
    select * from json_populate_recordset(null::pull_requests, $3::json)
    on conflict (repository_id, pull_request) do update
    set asked_at = excluded.asked_at, job = excluded.job, stopped_at = excluded.stopped_at,
        stop_reason = excluded.stop_reason
),
saved_providers as (
    insert into providers as p
    select * from json_populate_recordset(null::providers, $4::json)
    on conflict (provider) do update set paused_until = excluded.paused_until, pause_reason = excluded.pause_reason
    where p.paused_until <> excluded.paused_until
)
insert into jobs
select * from json_populate_recordset(null::jobs, $1::json)
on conflict (job) do update
set (
        version, position, state, installation, repository_id, repository, pull_request, head_sha, base_sha,
        trigger, requested_by, comment_id, correlation, request_version, request_position, asked_at,
        requested_at, run_at, attempt, releases, claim_no, started_position, started_at, worker, deadline,
        superseded_by, cancel_reason, reason, files, files_left_out, provider, model, calls, input_tokens,
        output_tokens, cost_usd, plan, findings, conclusion, review_id, review_url, check_run_id, check_version,
        check_concluded, finished_at
    ) = (
        excluded.version, excluded.position, excluded.state, excluded.installation, excluded.repository_id,
        excluded.repository, excluded.pull_request, excluded.head_sha, excluded.base_sha, excluded.trigger,
        excluded.requested_by, excluded.comment_id, excluded.correlation, excluded.request_version,
        excluded.request_position, excluded.asked_at, excluded.requested_at, excluded.run_at,
        excluded.attempt, excluded.releases, excluded.claim_no, excluded.started_position,
        excluded.started_at, excluded.worker, excluded.deadline, excluded.superseded_by,
        excluded.cancel_reason, excluded.reason, excluded.files, excluded.files_left_out, excluded.provider,
        excluded.model, excluded.calls, excluded.input_tokens, excluded.output_tokens, excluded.cost_usd,
        excluded.plan, excluded.findings, excluded.conclusion, excluded.review_id, excluded.review_url,
        excluded.check_run_id, excluded.check_version, excluded.check_concluded, excluded.finished_at
    )
where jobs.version <= excluded.version
