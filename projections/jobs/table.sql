-- What is read about reviews: the job table, one row per pull request for the order of its requests, one row per
-- installation for the claim. Everything here follows from the log alone, whenever and however often it is replayed.
-- What only a table in use needs stands in finish.sql.

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
    request_position  bigint not null,  -- of that event
    first_position    bigint not null,  -- of the first one: the place of the job in lists, which never changes
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
    cost_usd          numeric not null default 0, -- of the answers that were recorded with a price
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

-- The jobs of a pull request, to find the open ones and to tell its whole story.
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
    budget       text,                  -- the one that is used up, when that is the reason
    queued       integer not null default 0 check (queued >= 0),
    running      integer not null default 0 check (running >= 0),
    next_run_at  timestamptz,           -- of its first queued job
    turn         bigint not null default 0 -- position of its last start: the longest waiting comes first
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);

create table providers (
    provider     text primary key,
    paused_until timestamptz not null,
    pause_reason text not null
);

grant select, insert, update, delete on jobs, pull_requests, installations, providers to reviewbot_app;
grant select on jobs, pull_requests, installations, providers to reviewbot_reader;
