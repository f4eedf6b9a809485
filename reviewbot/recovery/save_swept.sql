-- A repository was swept. $1 its id, $2 pull requests changed up to here were looked at.
update swept_repository set swept_until = $2 where repository_id = $1
