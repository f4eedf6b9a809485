-- Deliveries about a repository that GitHub lists and the inbox lacks, the newest first. $1 ids of the repository, $2 rows.
select event || coalesce('.' || action, '') as what, delivered_at, asked, lost_at is not null as lost
from missing_delivery
where repository_id = any ($1::bigint[])
order by delivered_at desc
limit $2
