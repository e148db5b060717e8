"""What `carsync init` asks of a person and of the API, and the file that it writes.

questions ─ look        ask the person; ask the API
mending                 refusals that need no question
answers                 what both said
config_file ─ paging    the file's lines
"""
