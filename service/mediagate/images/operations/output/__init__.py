"""Operations on what is published: marks on pictures, and files."""
