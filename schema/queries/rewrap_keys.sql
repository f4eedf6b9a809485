-- Replaces the wrapping of data keys that still exist. $1 ids, $2 wrapped, $3 fingerprint of the key that wraps them now.
update data_key k
set wrapped = fresh.wrapped, fingerprint = $3
from unnest($1::uuid[], $2::bytea[]) as fresh (id, wrapped)
where k.id = fresh.id
