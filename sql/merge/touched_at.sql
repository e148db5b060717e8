greatest(t.created_at, t.updated_at, t.last_synced_at)
