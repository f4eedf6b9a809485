-- A worker process ends: its leases are free, and long dead ones are forgotten. $1 worker.
with freed as (delete from lease where holder = $1)
delete from worker where id = $1 or beat_at < now() - interval '1 day'
