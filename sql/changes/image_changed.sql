NOT record_image_eq(ROW(was.{column}), ROW(t.{column}))
