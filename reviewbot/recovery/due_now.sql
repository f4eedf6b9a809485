-- What is to be done now. $1 whether a process starts, $2 seconds: younger sweeps need not be repeated at a start.
select $1 or recover_due <= now() as recover,
       sweep_due <= now() or ($1 and (swept_at is null or swept_at < now() - make_interval(secs => $2))) as sweep
from recovery
