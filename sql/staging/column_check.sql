CONSTRAINT {constraint} CHECK ({test})
