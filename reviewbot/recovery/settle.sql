-- Forgets what has arrived meanwhile, and what was given up so long ago that GitHub lists none of its attempts any more.
-- $1 GitHub's window. Returns how many arrived.
with gone as (
    delete from missing_delivery m
    where exists (select from inbox i where i.delivery = m.delivery) or m.lost_at < now() - $1::interval
    returning m.lost_at
)
select count(*) from gone where lost_at is null
