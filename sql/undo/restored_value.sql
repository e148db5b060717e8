CASE WHEN was."carsync before" ? {name} THEN {old} ELSE t.{column} END
