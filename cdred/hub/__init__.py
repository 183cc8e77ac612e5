"""The Hugging Face Hub: publishing artifacts, and pulling what others published."""
