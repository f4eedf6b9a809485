-- The checkpoints of some sizes, in order. $1 only above, $2 up to.
select size, root, note from tree_head where size > $1 and size <= $2 order by size
