-- Who holds locks on the live tables for longer than a moment. $1 tables.
select distinct a.pid, a.application_name as name, a.xact_start as since
from pg_locks l
join pg_stat_activity a using (pid)
where l.database = (select oid from pg_database where datname = current_database())
  and l.relation = any (select to_regclass(t) from unnest($1::text[]) t) and l.granted and a.pid <> pg_backend_pid()
  and a.xact_start < now() - interval '1 second'
order by since
