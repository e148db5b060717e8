({key}, source_api, is_active)
