-- A delivery is given up. $1 delivery.
update missing_delivery set lost_at = now() where delivery = $1
