{column} DEFAULT {value}
