-- Who holds the builds of a projection. $1 what kind of lock it is, $2 projection.
select a.application_name as name, a.backend_start as since
from pg_locks l
join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database where datname = current_database())
  and l.classid::bigint = $1 and l.objid = (hashtext($2)::bigint & 4294967295)::oid
