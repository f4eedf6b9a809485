-- The jobs of a pull request in the order of their requests. $1 ids of the repository, $2 number.
select * from jobs where repository_id = any ($1::bigint[]) and pull_request = $2 order by request_position
