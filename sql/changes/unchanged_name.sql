CASE WHEN {is_changed} THEN NULL ELSE {name} END
