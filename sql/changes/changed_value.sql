CASE WHEN {is_changed} THEN {value}::text END
