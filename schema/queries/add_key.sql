-- Adds a data key unless the installation has one. $1 id, $2 installation, $3 wrapped, $4 fingerprint.
insert into data_key (id, installation, wrapped, fingerprint) values ($1, $2, $3, $4) on conflict (installation) do nothing
