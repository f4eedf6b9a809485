-- Writes folded rows. $1 JSON array of rows.
insert into jobs
select * from json_populate_recordset(null::jobs, $1::json)
on conflict (job) do update
set (
        version, position, state, installation, repository_id, repository, pull_request, head_sha, base_sha,
        trigger, requested_by, comment_id, correlation, request_version, request_position, asked_at,
        requested_at, run_at, attempt, releases, claim_no, started_position, started_at, worker, deadline,
        superseded_by, cancel_reason, reason, files, files_left_out, provider, model, calls, input_tokens,
        output_tokens, plan, findings, conclusion, review_id, review_url, check_run_id, check_version,
        check_concluded, finished_at
    ) = (
        excluded.version, excluded.position, excluded.state, excluded.installation, excluded.repository_id,
        excluded.repository, excluded.pull_request, excluded.head_sha, excluded.base_sha, excluded.trigger,
        excluded.requested_by, excluded.comment_id, excluded.correlation, excluded.request_version,
        excluded.request_position, excluded.asked_at, excluded.requested_at, excluded.run_at,
        excluded.attempt, excluded.releases, excluded.claim_no, excluded.started_position,
        excluded.started_at, excluded.worker, excluded.deadline, excluded.superseded_by,
        excluded.cancel_reason, excluded.reason, excluded.files, excluded.files_left_out, excluded.provider,
        excluded.model, excluded.calls, excluded.input_tokens, excluded.output_tokens, excluded.plan,
        excluded.findings, excluded.conclusion, excluded.review_id, excluded.review_url,
        excluded.check_run_id, excluded.check_version, excluded.check_concluded, excluded.finished_at
    )
where jobs.version <= excluded.version
