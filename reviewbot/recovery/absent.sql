-- Which of the given deliveries the inbox lacks, and whether a broken promise is known of them already. $1 guids.
select d.delivery, coalesce(m.promised, false) as alarmed
from unnest($1::uuid[]) as d (delivery)
left join missing_delivery m using (delivery)
where not exists (select from inbox i where i.delivery = d.delivery)
