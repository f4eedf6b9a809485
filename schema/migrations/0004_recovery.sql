-- How far the intake was compared with what GitHub says that it sent, what is missing, and which repositories were swept.

create table recovery (
    one           boolean primary key default true check (one),
    covered_until timestamptz, -- every delivery up to here was looked for in the inbox
    top           timestamptz, -- when the comparison under way began: covered_until once it is done
    cursor        text,        -- where it goes on in GitHub's list
    recovered_at  timestamptz, -- end of the last comparison that was completed
    recover_due   timestamptz not null default now(),
    swept_at      timestamptz, -- end of the last sweep that was completed
    sweep_due     timestamptz not null default now()
) with (fillfactor = 10);
insert into recovery default values;

create table missing_delivery (
    delivery      uuid primary key,     -- the guid, which all attempts share
    attempt       bigint not null,      -- GitHub's id of the newest attempt: what is asked for again
    event         text not null,
    action        text,
    installation  bigint,
    repository_id bigint,
    delivered_at  timestamptz not null, -- of the oldest attempt that is known: GitHub forgets it a window later
    status        text not null,        -- what GitHub says of the newest attempt
    promised      boolean not null,     -- whether GitHub has an OK from us for any attempt
    asked         integer not null default 0,
    ask_after     timestamptz not null default now(),
    found_at      timestamptz not null default now(),
    lost_at       timestamptz           -- given up; the row stays, so that attempts of ours do not begin it anew
);
create index missing_delivery_due on missing_delivery (delivered_at) where lost_at is null;

create table swept_repository (
    repository_id bigint primary key,
    since         timestamptz not null, -- heads pushed before are none of ReviewBot's business
    swept_until   timestamptz           -- pull requests changed up to here were looked at
);

-- What deliveries and sweeps said of a head without asking for a review of it.
create index event_told_of_head on event ((data ->> 'head_sha'))
    where topic in ('DeliveryIgnored', 'HeadLeftOut', 'PullRequestDrafted');
-- The rare events that say what went wrong with the intake.
create index event_intake_trouble on event (position)
    where topic in ('DeliveryLost', 'DeliveryMissed', 'DeliveryParked', 'IntakeGap');

grant select, insert, update, delete on recovery, missing_delivery, swept_repository to reviewbot_app;
