-- Gives a lease back; nothing happens when it is in other hands. $1 name, $2 holder.
delete from lease where name = $1 and holder = $2
