-- Remembers deliveries that the inbox lacks; the oldest attempt's time and the newest one's id count.
-- $1 guid, $2 attempt, $3 event, $4 action, $5 installation, $6 repository, $7 delivered at, $8 status, $9 promised.
-- Returns those that were not known.
with told as (
    insert into missing_delivery as m
        (delivery, attempt, event, action, installation, repository_id, delivered_at, status, promised)
    select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                         $7::timestamptz[], $8::text[], $9::boolean[])
    on conflict (delivery) do update
    set status = case when excluded.attempt >= m.attempt then excluded.status else m.status end,
        attempt = greatest(m.attempt, excluded.attempt),
        delivered_at = least(m.delivered_at, excluded.delivered_at),
        promised = m.promised or excluded.promised
    returning m.promised, m.xmax = 0 as fresh
)
select promised from told where fresh
