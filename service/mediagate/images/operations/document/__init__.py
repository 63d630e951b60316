"""Operations of the family document, each in a module of its own."""
