-- Full tiles of the tree. $1 levels, $2 indexes, pair by pair.
select tile.level, tile.index, tile.hashes
from unnest($1::smallint[], $2::bigint[]) as wanted (level, index)
join tile using (level, index)
