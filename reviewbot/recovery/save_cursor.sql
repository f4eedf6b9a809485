-- A page was compared. $1 where the comparison goes on; null: at the newest delivery.
update recovery set cursor = $1
