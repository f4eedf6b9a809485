-- The columns of a table's primary key, in their order. $1 table.
select a.attname
from pg_index i
cross join unnest(i.indkey) with ordinality as k (number, place)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
where i.indrelid = $1::text::regclass and i.indisprimary
order by k.place
