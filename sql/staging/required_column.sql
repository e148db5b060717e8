{column} NOT NULL
