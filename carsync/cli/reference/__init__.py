"""The reference under docs/, made from the code: man page, commands, configuration, exit codes,
metrics."""
