-- Moves a projection on and tells the other nodes. $1 projection, $2 position, $3 fault.
with moved as (update checkpoint set position = $2, fault = $3 where projection = $1 returning projection)
select pg_notify('projected', projection) from moved
