-- Stores a checkpoint ($1 size, $2 root, $3 note) and the tiles that became full with it ($4 levels, $5 indexes,
-- $6 hashes). What another sealer stored already stays as it is.
with tiles as (
    insert into tile (level, index, hashes)
    select * from unnest($4::smallint[], $5::bigint[], $6::bytea[])
    on conflict do nothing
)
insert into tree_head (size, root, note) values ($1, $2, $3)
on conflict do nothing
