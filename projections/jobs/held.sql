-- Installations that a used up budget holds back now.
select installation from installations where budget is not null and paused_until > now()
