-- Until the end of the transaction tables are looked for, and made, among the temporary ones first.
select set_config('search_path', 'pg_temp, ' || current_setting('search_path'), true),
       set_config('plan_cache_mode', 'force_custom_plan', true)
