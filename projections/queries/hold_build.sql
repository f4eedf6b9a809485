-- Whether this session now holds the builds of a projection; it lets go of them when it ends, however it ends.
-- $1 what kind of lock it is, $2 projection.
select pg_try_advisory_lock($1, hashtext($2))
