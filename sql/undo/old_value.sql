({before} ->> {name})::{type}
