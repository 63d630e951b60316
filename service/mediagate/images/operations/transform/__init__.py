"""Operations on size, shape and direction."""
