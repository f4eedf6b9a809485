-- One artifact with its key, or when that was destroyed. $1 installation, $2 digest.
select a.installation, a.kind, a.body, a.key, k.wrapped, k.fingerprint,
       (select max(e.recorded_at) from event e
        where e.topic = 'InstallationErased' and e.data ->> 'key' = a.key::text) as erased_at
from artifact a
left join data_key k on k.id = a.key
where a.installation = $1 and a.digest = $2
