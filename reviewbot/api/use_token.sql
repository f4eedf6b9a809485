-- What a token is called and whether it has expired; that it was used is noted once a minute. $1 digest.
with used as (
    update api_token
    set last_used_at = now()
    where digest = $1
      and (expires_at is null or expires_at > now())
      and (last_used_at is null or last_used_at <= now() - interval '1 minute')
)
select name, coalesce(expires_at <= now(), false) as expired from api_token where digest = $1
