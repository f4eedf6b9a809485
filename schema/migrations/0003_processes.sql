-- Who is alive, who holds what, and how far each projection has read: state of processes, not of reviews.

create table worker (
    id         uuid primary key, -- new at every start
    instance   text not null,    -- the same at every start of the same instance
    started_at timestamptz not null default now(),
    beat_at    timestamptz not null default now()
) with (fillfactor = 50);
create index worker_instance on worker (instance);

create table lease (
    name   text primary key,
    holder uuid not null,
    until  timestamptz not null
) with (fillfactor = 50);

create table checkpoint (
    projection text primary key,
    version    integer not null,
    position   bigint not null,
    fault      text -- why it stands still, when an event could not be folded
) with (fillfactor = 50);

grant select, insert, update, delete on worker, lease to reviewbot_app;
grant select, insert, update on checkpoint to reviewbot_app;
