-- What lies before $1 is given up; the gap is in the log.
update recovery set covered_until = $1 where covered_until < $1
