array_to_string(ARRAY[{values}]::text[], chr(31), '')
