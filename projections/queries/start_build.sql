-- A build stands before the first event. $1 projection, $2 version.
insert into checkpoint (projection, version, position) values ($1, $2, 0)
