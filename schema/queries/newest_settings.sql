-- The newest settings of a repository that had no fault. $1 installation, $2 repository id.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from event
where topic = 'SettingsRead' and (data ->> 'faults') is null
  and (data ->> 'repository_id')::bigint = $2 and installation = $1
order by position desc
limit 1
