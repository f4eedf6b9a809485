-- Waits until this session holds the builds of a projection. $1 what kind of lock it is, $2 projection.
select pg_advisory_lock($1, hashtext($2))
