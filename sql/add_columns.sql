ALTER TABLE {target} {additions}
