ANALYZE {target}
