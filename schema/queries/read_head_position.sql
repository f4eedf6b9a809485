-- The position of the newest event.
select position from log_head
