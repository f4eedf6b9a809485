-- Missing deliveries to ask for now; those that GitHub forgets first come first. $1 rows.
select delivery, attempt, event, action, installation, delivered_at, status, promised, asked
from missing_delivery m
where lost_at is null and ask_after <= now() and not exists (select from inbox i where i.delivery = m.delivery)
order by delivered_at
limit $1
