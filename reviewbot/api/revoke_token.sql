-- Removes a token and keeps the fact of it, together; nothing comes back when there is none. $1 name, $2 actor.
with token as (
    delete from api_token where name = $1 returning id, name
),
head as (
    update log_head set position = position + 1 where exists (select from token) returning position
)
insert into event (position, stream, version, topic, data, actor, correlation)
select position, id, 2, 'TokenRevoked', json_build_object('name', name), $2, id
from token, head
returning stream, pg_notify('log', current_setting('reviewbot.process', true))
