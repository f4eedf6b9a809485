-- A projection's tables are ready for use. $1 projection, $2 version.
update checkpoint set version = $2 where projection = $1
