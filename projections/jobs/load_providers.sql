-- Pauses of the given providers. $1 names.
select * from providers where provider = any ($1::text[])
