-- Writes folded rows. $1 JSON array of rows.
insert into providers as p
select * from json_populate_recordset(null::providers, $1::json)
on conflict (provider) do update set paused_until = excluded.paused_until, pause_reason = excluded.pause_reason
where p.paused_until <> excluded.paused_until
