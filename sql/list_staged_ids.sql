-- Cars this run saw on the feed, as controls for requests by id.
SELECT id FROM {staging} ORDER BY page DESC, ordinal DESC LIMIT %(limit)s
