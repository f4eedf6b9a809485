-- One raw delivery. $1 its id.
select event, body from inbox where delivery = $1
