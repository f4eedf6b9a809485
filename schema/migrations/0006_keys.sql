-- One data key per installation, and what is sealed with it. Rows from before are plain: they stay, and are read as they
-- are. From here on nothing plain is taken in.

create table data_key (
    id           uuid primary key,       -- its own: an installation that comes back after an erasure gets another key
    installation bigint not null unique, -- 0: for deliveries that name none
    wrapped      bytea not null,         -- nonce, ciphertext and tag, by ENCRYPTION_KEY
    fingerprint  text not null,          -- of that ENCRYPTION_KEY
    made_at      timestamptz not null default clock_timestamp()
);

alter table inbox add column installation bigint, add column key uuid;
alter table inbox add constraint inbox_sealed check (installation is not null and key is not null) not valid;
comment on column inbox.body is 'nonce, zlib of the signed bytes as ciphertext, tag; without a key: zlib';

alter table artifact add column key uuid;
alter table artifact add constraint artifact_sealed check (key is not null) not valid;
comment on column artifact.digest is 'keyed, of the kind and the plain bytes; without a key: SHA-256 of the plain bytes';
comment on column artifact.body is 'nonce, zlib of the plain bytes as ciphertext, tag; without a key: zlib';

-- When a key was destroyed.
create index event_erased on event ((data ->> 'key')) where topic = 'InstallationErased';

grant select, insert, delete, update (wrapped, fingerprint) on data_key to reviewbot_app;
