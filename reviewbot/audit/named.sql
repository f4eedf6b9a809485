-- The repositories that have or had a name. $1 owner/name in lower case.
select repository_id from trail_names where repository = $1
