-- What repositories set for their reviews, the newest of each found at once.
create index event_settings on event (((data ->> 'repository_id')::bigint), position) where topic = 'SettingsRead';
