-- The tables of a build are ready for use.
update checkpoint set finished = true
