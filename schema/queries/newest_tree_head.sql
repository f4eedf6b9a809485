-- The newest checkpoint.
select size, root, note from tree_head order by size desc limit 1
