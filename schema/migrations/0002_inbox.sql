-- What came in as it came in, and what people or models wrote at length.

create table inbox (
    delivery    uuid primary key, -- X-GitHub-Delivery
    event       text not null,    -- X-GitHub-Event
    headers     json not null,    -- the other headers GitHub sent, without the signature
    body        bytea not null,   -- zlib of the raw bytes that were signed
    received_at timestamptz not null default clock_timestamp()
);
alter table inbox alter column body set storage external; -- it is compressed already
create index inbox_received_at on inbox using brin (received_at);

create table artifact (
    installation bigint not null,
    digest       bytea not null,  -- SHA-256 of the plain bytes
    kind         text not null,   -- changes, prompt, answer, coverage, plan
    size         integer not null,-- of the plain bytes
    body         bytea not null,  -- zlib
    stored_at    timestamptz not null default clock_timestamp(),
    primary key (installation, digest)
);
alter table artifact alter column body set storage external;

create trigger inbox_append_only before update on inbox
    for each row execute function refuse_change();
create trigger artifact_append_only before update on artifact
    for each row execute function refuse_change();

grant select, insert on inbox, artifact to reviewbot_app;
