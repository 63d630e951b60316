"""The API of ProductAI."""
