-- The next data keys by id. $1 after this id, $2 rows.
select id, installation, wrapped, fingerprint from data_key where id > $1 order by id limit $2
