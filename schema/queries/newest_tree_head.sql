-- The newest checkpoint.
select size, root, note, sealed_at from tree_head order by size desc limit 1
