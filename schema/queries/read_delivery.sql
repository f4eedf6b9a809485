-- One raw delivery with its key, or when that was destroyed. $1 its id.
select i.installation, i.event, i.body, i.key, k.wrapped, k.fingerprint,
       (select max(e.recorded_at) from event e
        where e.topic = 'InstallationErased' and e.data ->> 'key' = i.key::text) as erased_at
from inbox i
left join data_key k on k.id = i.key
where i.delivery = $1
