-- A worker process ends, and long dead ones are forgotten. $1 worker.
delete from worker where id = $1 or beat_at < now() - interval '1 day'
