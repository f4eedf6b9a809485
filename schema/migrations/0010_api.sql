-- Who may ask over HTTP, and the right to make temporary tables, in which the past is folded anew.

create table api_token (
    id           uuid primary key,                                     -- also its stream in the log
    name         text not null unique,
    digest       bytea not null unique check (octet_length(digest) = 32), -- SHA-256 of the token, which is kept nowhere
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,                                          -- null: never
    last_used_at timestamptz                                           -- to the minute
) with (fillfactor = 50);

grant select, insert, delete, update (last_used_at) on api_token to reviewbot_app;

-- Everybody may by default; where that was taken back, the service still needs it.
do $$
begin
    execute format('grant temporary on database %I to reviewbot_app', current_database());
end
$$;
