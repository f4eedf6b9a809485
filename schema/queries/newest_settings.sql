-- The newest settings that were read of a repository. $1 installation, $2 repository id, $3 whether they may have faults.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from event
where topic = 'SettingsRead' and (data ->> 'repository_id')::bigint = $2 and installation = $1
  and ($3 or (data ->> 'faults') is null)
order by position desc
limit 1
