-- How many data keys are wrapped by which encryption key.
select fingerprint, count(*) as keys from data_key group by fingerprint order by fingerprint
