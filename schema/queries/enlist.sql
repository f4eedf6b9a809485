-- A worker process begins; what an earlier process of the same instance held is free at once. $1 worker, $2 instance.
with dead as (delete from worker where instance = $2 returning id),
freed as (delete from lease where holder in (select id from dead))
insert into worker (id, instance) values ($1, $2)
