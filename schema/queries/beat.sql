-- A worker says that it lives. Nothing comes back when it was declared dead. $1 worker.
update worker set beat_at = now() where id = $1 returning id
