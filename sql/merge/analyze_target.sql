ANALYZE {target} {columns}
