"""The cluster's engine: workers on any machine fetch, map and stage (extra `cluster`)."""
