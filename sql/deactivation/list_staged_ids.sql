-- Cars this run saw on the feed and the pages that listed them, as controls for requests by id.
SELECT id, page FROM {staging} ORDER BY random() LIMIT %(limit)s
