-- Destroys a data key. $1 id.
delete from data_key where id = $1 returning id
