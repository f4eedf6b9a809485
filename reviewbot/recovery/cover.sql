-- A comparison is complete: everything up to its beginning is covered.
update recovery set covered_until = top, top = null, cursor = null, recovered_at = now()
