newest.{column} IS NOT NULL AND NOT record_image_eq(ROW(newest.{column}), ROW(t.{column}))
