-- Until the end of the transaction tables are looked for, and made, among the temporary ones first; and who reads on
-- page by page may take longer over one than the service's own statements do.
select set_config('search_path', 'pg_temp, ' || current_setting('search_path'), true),
       set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('idle_in_transaction_session_timeout', '10min', true)
