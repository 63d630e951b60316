"""The API of ImagePipeline."""
