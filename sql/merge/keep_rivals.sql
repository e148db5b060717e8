-- Another session has inserted some of the cars since the delta was taken: these stay.
ON CONFLICT ({key}) DO NOTHING
