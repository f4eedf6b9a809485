-- How the recovery stands.
select r.covered_until, r.cursor is not null as under_way, r.recovered_at, r.swept_at, now() as now,
       (select count(*) from missing_delivery where lost_at is null) as missing,
       (select min(delivered_at) from missing_delivery where lost_at is null) as oldest_missing
from recovery r
