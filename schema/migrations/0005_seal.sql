-- The seal of the log: the full tiles of its Merkle tree, and the signed checkpoints. Both only grow.

create table tile (
    level  smallint not null,
    index  bigint not null,   -- from 0 within its level
    hashes bytea not null check (octet_length(hashes) = 8192),
    primary key (level, index)
);
alter table tile alter column hashes set storage external; -- hashes do not compress

create table tree_head (
    size      bigint primary key check (size > 0), -- leaves: the events up to this position
    root      bytea not null check (octet_length(root) = 32),
    note      text not null,                       -- the checkpoint as a signed note
    sealed_at timestamptz not null default clock_timestamp()
);

create trigger tile_append_only before update or delete on tile
    for each row execute function refuse_change();
create trigger tile_no_truncate before truncate on tile
    for each statement execute function refuse_change();
create trigger tree_head_append_only before update or delete on tree_head
    for each row execute function refuse_change();
create trigger tree_head_no_truncate before truncate on tree_head
    for each statement execute function refuse_change();

grant select, insert on tile, tree_head to reviewbot_app;
