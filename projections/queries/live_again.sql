-- The tables that were built are live. Whoever folds or works is told at the commit. $1 projection, $2 version,
-- $3 position, $4 why they stand still.
with live as (
    insert into checkpoint (projection, version, position, fault) values ($1, $2, $3, $4)
    on conflict (projection) do update
    set version = excluded.version, position = excluded.position, fault = excluded.fault
    returning projection
)
select pg_notify('log', ''), pg_notify('projected', '') from live
