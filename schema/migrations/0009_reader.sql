-- Reading with psql: a role that sees what happened and can change nothing, and two views with the facts as columns.
-- The inbox, the artifacts, keys and tokens stay closed to it.

do $$
begin
    if not exists (select from pg_roles where rolname = 'reviewbot_reader') then -- an administrator may have made it
        create role reviewbot_reader nologin;
    end if;
exception
    when duplicate_object or unique_violation then null; -- another database of this cluster made it
end
$$;
do $$
begin
    execute format('grant usage on schema %I to reviewbot_reader', current_schema());
end
$$;
grant select on event, log_head, checkpoint, worker, lease, recovery, missing_delivery, swept_repository, tile, tree_head
    to reviewbot_reader;

-- A view is bound to the tables that it was made of, and those of a projection are replaced by each rebuild. The body of a
-- function is read when it is called, so views of functions see whichever tables there are; and as these are plain
-- queries, the planner takes them for what they are.
set local check_function_bodies = off; -- the projections are made after the migrations

create function audit_event_rows() returns table (
    "position" bigint, recorded_at timestamptz, topic text, actor text, installation bigint, delivery uuid,
    correlation uuid, causation bigint, stream uuid, version integer, repository_id bigint, pull_request integer,
    head_sha text, job uuid, trigger text, attempt integer, provider text, model text, input_tokens bigint,
    output_tokens bigint, latency_ms integer, findings integer, conclusion text, code text, reason text,
    retry_at timestamptz, review_id bigint, url text, data json
) language sql stable as $$
    select e.position, e.recorded_at, e.topic, e.actor, e.installation, e.delivery, e.correlation, e.causation, e.stream,
           e.version, s.repository_id, s.pull_request, s.head_sha, s.job, e.data ->> 'trigger',
           (e.data ->> 'attempt')::integer, e.data ->> 'provider', e.data ->> 'model',
           (e.data ->> 'input_tokens')::bigint, (e.data ->> 'output_tokens')::bigint,
           (e.data ->> 'latency_ms')::integer, (e.data ->> 'findings')::integer, e.data ->> 'conclusion',
           e.data ->> 'code', e.data ->> 'reason', (e.data ->> 'retry_at')::timestamptz,
           (e.data ->> 'review_id')::bigint, e.data ->> 'url', e.data
    from event e
    left join trail_subjects s on s.stream = e.stream
$$;
create view audit_events as select * from audit_event_rows();

create function audit_job_rows() returns table (
    job uuid, state text, installation bigint, repository_id bigint, repository text, pull_request integer,
    head_sha text, trigger text, requested_by bigint, requested_at timestamptz, started_at timestamptz,
    finished_at timestamptz, took interval, attempt integer, provider text, model text, calls integer,
    input_tokens bigint, output_tokens bigint, files integer, files_left_out integer, findings integer,
    conclusion text, reason text, review_url text, check_run_id bigint
) language sql stable as $$
    select job, state, installation, repository_id, repository, pull_request, head_sha, trigger, requested_by,
           requested_at, started_at, finished_at, finished_at - requested_at, attempt, provider, model, calls,
           input_tokens, output_tokens, files, files_left_out, findings, conclusion, reason, review_url, check_run_id
    from jobs
$$;
create view audit_jobs as select * from audit_job_rows();

grant select on audit_events, audit_jobs to reviewbot_reader, reviewbot_app;
