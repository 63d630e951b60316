"""Operations that make photos better."""
