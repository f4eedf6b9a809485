-- How far a projection has read. Nothing comes back while another projector is at it. $1 projection.
-- The page's commit need not wait for the disk: rows and checkpoint would be lost together and be folded again.
select position, fault, set_config('synchronous_commit', 'off', true)
from checkpoint where projection = $1 for update skip locked
