-- The log: every fact, once, in one order, for ever.

do $$
begin
    create role reviewbot_app nologin;
exception
    when duplicate_object or unique_violation then null; -- another database of this cluster made it
end
$$;
do $$
begin
    execute format('grant reviewbot_app to %I', current_user);
    execute format('grant usage on schema %I to reviewbot_app', current_schema());
end
$$;

-- One row. An append raises it and holds it until its commit, so positions have no holes and commit order is position
-- order: a reader's whole rule is "position > $1 order by position".
create table log_head (
    one      boolean primary key default true check (one),
    position bigint not null
) with (fillfactor = 10);
insert into log_head (position) values (0);
analyze log_head; -- without statistics the planner takes it for a large table, ten times slower

create table event (
    position     bigint primary key,
    stream       uuid not null,
    version      integer not null check (version > 0),
    topic        text not null,
    data         json not null, -- json, not jsonb: the exact bytes come back, and can be hashed
    installation bigint,
    delivery     uuid,          -- the delivery that told this fact
    actor        text not null, -- user:ID, worker:INSTANCE, github, operator
    correlation  uuid not null, -- the delivery or command that began the whole story
    causation    bigint,        -- position of the event that this one follows from
    recorded_at  timestamptz not null default clock_timestamp(),
    constraint event_stream_version unique (stream, version) -- the judge between writers
);
create index event_recorded_at on event using brin (recorded_at);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only: % on % is refused', tg_op, tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;
create trigger event_append_only before update or delete on event
    for each row execute function refuse_change();
create trigger event_no_truncate before truncate on event
    for each statement execute function refuse_change();

grant select, insert on event to reviewbot_app;
grant select, update (position) on log_head to reviewbot_app;
