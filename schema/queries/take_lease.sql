-- Takes or keeps a lease. $1 name, $2 holder, $3 seconds. A row comes back to the holder only.
insert into lease as l (name, holder, until)
values ($1, $2, now() + make_interval(secs => $3))
on conflict (name) do update set holder = excluded.holder, until = excluded.until
where l.holder = excluded.holder or l.until < now()
returning l.holder
