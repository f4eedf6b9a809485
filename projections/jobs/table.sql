-- What is read about reviews: the job table, one row per pull request for the order of its requests, one row per
-- installation for the claim. Everything here follows from the log alone, whenever and however often it is replayed.

create table jobs (
    job               uuid primary key, -- the stream
    version           integer not null, -- of the last event of the stream that is folded in
    position          bigint not null,  -- of that event
    state             text not null check (state in
                          ('queued', 'ending', 'running', 'completed', 'failed', 'superseded', 'cancelled', 'skipped')),
    installation      bigint not null,
    repository_id     bigint not null,
    repository        text not null,
    pull_request      integer not null,
    head_sha          text,
    base_sha          text,
    trigger           text not null,
    requested_by      bigint,
    comment_id        bigint,
    correlation       uuid not null,
    request_version   integer not null, -- version of the latest ReviewRequested
    request_position  bigint not null,
    asked_at          timestamptz not null, -- by GitHub's clock
    requested_at      timestamptz not null, -- by ours
    run_at            timestamptz not null, -- not before
    attempt           integer not null default 0,
    releases          integer not null default 0,
    claim_no          integer not null default 0,
    started_position  bigint not null default 0,
    started_at        timestamptz,
    worker            uuid,
    deadline          timestamptz,
    superseded_by     uuid,             -- the newer job, while this one has not ended yet
    cancel_reason     text,             -- why it is no longer wanted, while it has not ended yet
    reason            text,             -- why it failed, was skipped, cancelled or put back
    files             integer,
    files_left_out    integer,
    provider          text,
    model             text,
    calls             integer not null default 0,
    input_tokens      bigint not null default 0,
    output_tokens     bigint not null default 0,
    plan              text,             -- artifact digest
    findings          integer,
    conclusion        text,
    review_id         bigint,
    review_url        text,
    check_run_id      bigint,
    check_version     integer,          -- the request that the Check Run belongs to
    check_concluded   boolean not null default false,
    finished_at       timestamptz
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create index jobs_queued on jobs (installation, run_at, job) where state = 'queued';
create index jobs_running on jobs (worker, deadline) where state = 'running';
create index jobs_ending on jobs (job) where state = 'ending';
create index jobs_open on jobs (repository_id, pull_request) where state in ('queued', 'ending', 'running');
create index jobs_unchecked on jobs (request_position)
    where head_sha is not null
      and (check_version is null or check_version <> request_version
           or (not check_concluded and state in ('completed', 'failed', 'superseded', 'cancelled', 'skipped')));
create index jobs_pull_request on jobs (repository_id, pull_request, request_position);

create table pull_requests (
    repository_id bigint not null,
    pull_request  integer not null,
    asked_at      timestamptz,          -- of the newest request
    job           uuid,                 -- the newest request's job
    stopped_at    timestamptz,          -- of the newest close or draft
    stop_reason   text,
    primary key (repository_id, pull_request)
) with (fillfactor = 80);

create table installations (
    installation bigint primary key,
    state        text not null default 'active' check (state in ('active', 'suspended', 'deleted')),
    changed_at   timestamptz,           -- of the state, by GitHub's clock
    max_running  integer,               -- null: the operator's default
    paused_until timestamptz,
    pause_reason text,
    queued       integer not null default 0 check (queued >= 0),
    running      integer not null default 0 check (running >= 0),
    next_run_at  timestamptz,           -- of its first queued job
    turn         bigint not null default 0 -- position of its last start: the longest waiting comes first
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
create index installations_turn on installations (turn, installation) where queued > 0 and state = 'active';

create table providers (
    provider     text primary key,
    paused_until timestamptz not null,
    pause_reason text not null
);

-- The counters follow the rows within the same statement, whoever writes them.
create function jobs_count_inserted() returns trigger language plpgsql as $$
begin
    insert into installations (installation) select distinct installation from fresh on conflict do nothing;
    update installations i
    set queued = i.queued + d.queued,
        running = i.running + d.running,
        turn = greatest(i.turn, d.turn),
        next_run_at = (select run_at from jobs j where j.installation = i.installation and j.state = 'queued'
                       order by run_at, job limit 1)
    from (
        select installation, count(*) filter (where state = 'queued') as queued,
               count(*) filter (where state = 'running') as running, max(started_position) as turn
        from fresh
        group by installation
    ) d
    where i.installation = d.installation;
    return null;
end
$$;
create trigger jobs_count_inserted after insert on jobs
    referencing new table as fresh for each statement execute function jobs_count_inserted();

create function jobs_count_updated() returns trigger language plpgsql as $$
begin
    update installations i
    set queued = i.queued + d.queued,
        running = i.running + d.running,
        turn = greatest(i.turn, d.turn),
        next_run_at = (select run_at from jobs j where j.installation = i.installation and j.state = 'queued'
                       order by run_at, job limit 1)
    from (
        select installation, sum(queued) as queued, sum(running) as running, max(turn) as turn
        from (
            select installation, (state = 'queued')::int as queued, (state = 'running')::int as running,
                   started_position as turn
            from fresh
            union all
            select installation, -(state = 'queued')::int, -(state = 'running')::int, 0 from stale
        ) change
        group by installation
    ) d
    where i.installation = d.installation;
    return null;
end
$$;
create trigger jobs_count_updated after update on jobs
    referencing old table as stale new table as fresh for each statement execute function jobs_count_updated();

grant select, insert, update, delete on jobs, pull_requests, installations, providers to reviewbot_app;
