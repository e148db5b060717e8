SELECT count(*) FROM {target} WHERE source_api = {source} AND is_active
