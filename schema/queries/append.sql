-- Appends units of events; a unit is stored whole or not at all. $1 unit, $2 stream, $3 version, $4 topic, $5 data,
-- $6 installation, $7 delivery, $8 actor, $9 correlation, $10 causation: one element per event, in order.
-- Returns the position before the first stored event and the units refused because a (stream, version) is taken.
with input as materialized (
    select * from unnest($1::int[], $2::uuid[], $3::int[], $4::text[], $5::json[], $6::bigint[], $7::uuid[], $8::text[],
                         $9::uuid[], $10::bigint[])
        with ordinality as e (unit, stream, version, topic, data, installation, delivery, actor, correlation, causation, ord)
),
taken as materialized (
    select distinct i.unit
    from input i
    cross join lateral (select from event e where e.stream = i.stream and e.version = i.version limit 1) e
),
fresh as materialized (
    select i.*, row_number() over (order by i.ord) as n
    from input i
    where i.unit not in (select unit from taken)
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
)
select base, array(select unit from taken) as conflicts, '{}'::int[] as duplicates, pg_notify('log', current_setting('reviewbot.process', true))
from head
