"""Operations on colours and details."""
