-- The data key of an installation. $1 installation.
select id, installation, wrapped, fingerprint from data_key where installation = $1
