-- The newest settings of a repository that had no fault, for when its file has some.
create index event_settings on event (((data ->> 'repository_id')::bigint), position)
    where topic = 'SettingsRead' and (data ->> 'faults') is null;
