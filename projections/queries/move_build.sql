-- A build has taken in a page. $1 the position behind it.
update checkpoint set position = $1
