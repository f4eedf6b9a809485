-- Which of the given data keys still exist. $1 ids.
select id from data_key where id = any ($1::uuid[])
