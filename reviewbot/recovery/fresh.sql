-- Which of the given repositories were swept a short while ago. $1 repository ids, $2 seconds.
select repository_id
from swept_repository
where repository_id = any ($1::bigint[]) and swept_until > now() - make_interval(secs => $2)
