-- A projection starts again. $1 projection, $2 version.
insert into checkpoint (projection, version, position) values ($1, $2, 0)
on conflict (projection) do update set version = excluded.version, position = 0, fault = null
