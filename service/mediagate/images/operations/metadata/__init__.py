"""Operations on what a file says about its picture."""
