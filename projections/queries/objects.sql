-- The tables and functions of a projection that stand in a schema, as ALTER names them.
-- $1 schema, $2 tables, $3 functions.
select 'table' as kind, format('%I.%I', $1::text, relname) as name
from pg_class
where relnamespace = to_regnamespace($1) and relname = any ($2::text[]) and relkind = 'r'
union all
select 'function', oid::regprocedure::text
from pg_proc
where pronamespace = to_regnamespace($1) and proname = any ($3::text[])
