-- A delivery was asked for again; the wait until the next time doubles. $1 delivery, $2 first and $3 longest wait, seconds.
update missing_delivery
set asked = asked + 1, ask_after = now() + make_interval(secs => least($3::float8, $2::float8 * 2 ^ asked))
where delivery = $1
