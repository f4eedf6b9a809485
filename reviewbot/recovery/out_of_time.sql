-- Missing deliveries that GitHub does not send any more. $1 its window, $2 rows.
select delivery, attempt, event, action, installation, delivered_at, status, promised, asked
from missing_delivery
where lost_at is null and delivered_at < now() - $1::interval
order by delivered_at
limit $2
