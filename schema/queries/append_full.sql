-- As append.sql, together with raw deliveries ($11 unit, $12 delivery, $13 event, $14 headers, $15 body,
-- $16 installation, $17 key) and artifacts ($18 unit, $19 installation, $20 digest, $21 kind, $22 size, $23 body,
-- $24 key), in one statement and so in one commit.
-- Also returns the units refused because their delivery is in the inbox already.
with input as materialized (
    select * from unnest($1::int[], $2::uuid[], $3::int[], $4::text[], $5::json[], $6::bigint[], $7::uuid[], $8::text[],
                         $9::uuid[], $10::bigint[])
        with ordinality as e (unit, stream, version, topic, data, installation, delivery, actor, correlation, causation, ord)
),
parcel as materialized (
    select * from unnest($11::int[], $12::uuid[], $13::text[], $14::json[], $15::bytea[], $16::bigint[], $17::uuid[])
        as d (unit, delivery, event, headers, body, installation, key)
),
known as materialized (
    select p.unit
    from parcel p
    cross join lateral (select from inbox i where i.delivery = p.delivery limit 1) i
),
taken as materialized (
    select distinct i.unit
    from input i
    cross join lateral (select from event e where e.stream = i.stream and e.version = i.version limit 1) e
),
refused as materialized (select unit from taken union select unit from known),
fresh as materialized (
    select i.*, row_number() over (order by i.ord) as n
    from input i
    where i.unit not in (select unit from refused)
),
head as (
    update log_head set position = position + (select count(*) from fresh)
    returning position - (select count(*) from fresh) as base
),
stored as (
    insert into event (position, stream, version, topic, data, installation, delivery, actor, correlation, causation)
    select head.base + n, stream, version, topic, data, installation, delivery, actor, correlation, causation
    from fresh, head
    order by n
),
received as (
    insert into inbox (delivery, event, headers, body, installation, key)
    select delivery, event, headers, body, installation, key
    from parcel
    where unit not in (select unit from refused)
),
kept as (
    insert into artifact (installation, digest, kind, size, body, key)
    select installation, digest, kind, size, body, key
    from unnest($18::int[], $19::bigint[], $20::bytea[], $21::text[], $22::int[], $23::bytea[], $24::uuid[])
        as a (unit, installation, digest, kind, size, body, key)
    where unit not in (select unit from refused)
    on conflict do nothing
)
select base, array(select unit from taken) as conflicts, array(select unit from known) as duplicates, pg_notify('log', current_setting('reviewbot.process', true))
from head
