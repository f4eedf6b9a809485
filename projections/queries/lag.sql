-- How far each projection is behind the log.
select projection, version, position, (select position from log_head) - position as behind, fault from checkpoint
