-- Installations that were deleted so long ago that their texts shall go, and whose data key is still there. A late
-- delivery may have given one a new key. $1 how long ago.
select k.installation
from data_key k
join installations i using (installation)
where i.state = 'deleted' and greatest(i.changed_at, k.made_at) <= now() - $1::interval
order by k.installation
limit 100
