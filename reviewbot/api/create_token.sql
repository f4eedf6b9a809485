-- A new token and the fact of it, together. $1 id, $2 name, $3 digest, $4 how long it lives, $5 actor.
with token as (
    insert into api_token (id, name, digest, expires_at) values ($1, $2, $3, now() + $4::interval)
    returning id, name, expires_at
),
head as (
    update log_head set position = position + 1 where exists (select from token) returning position
)
insert into event (position, stream, version, topic, data, actor, correlation)
select position, id, 1, 'TokenCreated',
       json_strip_nulls(json_build_object('name', name, 'expires_at', expires_at)), $5, id
from token, head
returning pg_notify('log', current_setting('reviewbot.process', true))
