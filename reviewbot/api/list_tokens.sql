-- All tokens, in the order of their names.
select name, created_at, expires_at, last_used_at, coalesce(expires_at <= now(), false) as expired
from api_token
order by name
