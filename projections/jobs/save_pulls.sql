-- Writes folded rows. $1 JSON array of rows.
insert into pull_requests
select * from json_populate_recordset(null::pull_requests, $1::json)
on conflict (repository_id, pull_request) do update
set asked_at = excluded.asked_at, job = excluded.job, stopped_at = excluded.stopped_at,
    stop_reason = excluded.stop_reason
