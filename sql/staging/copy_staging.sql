COPY {staging} (page, ordinal, {columns}) FROM STDIN
