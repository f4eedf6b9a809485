-- A projection starts again. Version 0: its tables are not ready for use. $1 projection.
insert into checkpoint (projection, version, position) values ($1, 0, 0)
on conflict (projection) do update set version = 0, position = 0, fault = null
